"""map, zip and reduce of a user's functions on tensors of the cuda backend."""

import math
import operator

import numpy as np
import pytest

from stackgrad import kernels
from stackgrad.tensor import from_numpy, ones, tensor

RNG = np.random.default_rng(0)
SCALE = 3.0


def on_device(array):
    return from_numpy(array, backend="cuda")


def by_branches(v):
    total = v
    for _ in range(2):
        total = total * v
    return total + SCALE if v > 0 else -total


def test_map():
    x = RNG.standard_normal((3, 4)).astype("float32")
    expected = np.where(x > 0, x**3 + 3, -(x**3))
    found = kernels.map(by_branches)(on_device(x).T)
    assert found.backend.name == "cuda"
    np.testing.assert_allclose(found.numpy(), expected.T, rtol=1e-5)


def test_map_of_a_function_that_numba_knows():
    np.testing.assert_allclose(kernels.map(math.exp)(tensor([0.0, 1.0], backend="cuda")).tolist(), [1, math.e], 1e-6)


def test_map_of_bools_and_integers():
    assert kernels.map(lambda v: not v)(tensor([True, False], backend="cuda")).tolist() == [False, True]
    assert kernels.map(lambda v: v // 2)(tensor([4, 5], backend="cuda")).tolist() == [2, 2]


def test_the_result_of_a_function_of_bools_is_converted_to_bool():
    some = kernels.reduce(operator.add, False)
    for count in (0, 2, 256, 257):
        values = np.arange(1000) < count
        assert some(on_device(values), 0).numpy() == (count > 0)
        assert some(on_device(np.stack([values, values], 1)), 0).tolist() == [count > 0] * 2
    assert kernels.map(lambda v: 256 * v)(tensor([True, False], backend="cuda")).tolist() == [True, False]
    assert kernels.zip(operator.add)(*[tensor([True], backend="cuda")] * 2).numpy().view("uint8") == 1


def test_zip_broadcasts():
    x, y = tensor([[1.0], [5.0]], backend="cuda"), tensor([2.0, 4.0], backend="cuda")
    assert kernels.zip(lambda a, b: abs(a - b))(x, y).tolist() == [[1.0, 3.0], [3.0, 1.0]]
    assert kernels.zip(operator.add)(x, y).tolist() == [[3.0, 5.0], [7.0, 9.0]]


def test_reduce():
    x = RNG.standard_normal((3, 50)).astype("float32")
    largest = kernels.reduce(max, start=float("-inf"))
    assert largest(on_device(x), 1).tolist() == x.max(1).tolist()
    assert largest(on_device(x), 0, keepdim=True).tolist() == x.max(0, keepdims=True).tolist()
    assert kernels.reduce(operator.add, start=1.0)(ones(0, 2, backend="cuda"), 0).tolist() == [1.0, 1.0]


def test_tensors_of_two_backends():
    with pytest.raises(ValueError, match="zip: tensors on backends 'cuda' and 'cpu' do not mix"):
        kernels.zip(operator.add)(ones(2, backend="cuda"), ones(2, backend="cpu"))
