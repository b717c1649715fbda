"""map, zip and reduce of a user's functions."""

import functools
import math
import operator
import re
from math import tanh

import numba
import numpy as np
import pytest

from stackgrad import kernels
from stackgrad.kernels.cpu._parallel import CHUNK
from stackgrad.tensor import arange, from_numpy, full, grad_check, no_grad, ones, tensor, zeros

RNG = np.random.default_rng(0)
SCALE = 3.0


def values(*shape, dtype="float32"):
    return from_numpy(RNG.standard_normal(shape).astype(dtype))


def cube_and_one(v):
    cube = v * v * v
    return cube + 1


def scaled_sum(x, y):
    return SCALE * x + y


# Compiled once for all tests.
CUBE = kernels.map(cube_and_one)
SCALED = kernels.zip(scaled_sum)
TOTAL = kernels.reduce(operator.add, 10)


# --- results


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_map(dtype, backend):
    for x in (values(3, 4), values(4, 3).T, values(8, 6)[::-2, ::2], values(1), values(), values(0, 3)):
        x = x.astype(dtype).to(backend)
        out = CUBE(x)
        assert out.shape == x.shape
        assert out.dtype == dtype
        assert out.backend is x.backend
        np.testing.assert_allclose(out.numpy(), x.numpy() ** 3 + 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zip(dtype):
    for a, b in (((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (1, 4)), ((3, 4), ()), ((), ()), ((0, 4), (1, 4))):
        x, y = values(*a).astype(dtype), values(*b).astype(dtype)
        out = SCALED(x, y)
        assert out.dtype == dtype
        np.testing.assert_allclose(out.numpy(), 3 * x.numpy() + y.numpy(), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reduce(dtype):
    x = values(5, 6, 7).astype(dtype)
    for dim in (0, 1, 2, -1, -3):
        expected = x.numpy().sum(dim) + 10
        np.testing.assert_allclose(TOTAL(x, dim).numpy(), expected, rtol=1e-5)
        assert TOTAL(x, dim).dtype == dtype
        assert TOTAL(x, dim, keepdim=True).shape == np.expand_dims(expected, dim).shape
        transposed = x.permute(2, 0, 1)
        np.testing.assert_allclose(TOTAL(transposed, dim).numpy(), transposed.numpy().sum(dim) + 10, rtol=1e-5)


def test_reduce_by_comparison():
    x = values(5, 6)
    largest = kernels.reduce(lambda a, b: a if a > b else b, -math.inf)
    assert np.array_equal(largest(x, 1).numpy(), x.numpy().max(1))
    assert np.array_equal(largest(x, 0).numpy(), x.numpy().max(0))


def test_large_tensors_in_parallel():
    for size in (1, 17, CHUNK + 1, 100_001):
        x = arange(size, dtype="float64")
        assert np.array_equal(SCALED(x, x).numpy(), 4 * x.numpy())
        assert np.array_equal(SCALED(x, x[::-1]).numpy(), 3 * x.numpy() + x.numpy()[::-1])
        assert TOTAL(x, 0).item() == size * (size - 1) / 2 + 10


def test_no_elements_give_the_start():
    assert TOTAL(zeros(3, 0), 1).tolist() == [10] * 3
    assert TOTAL(zeros(3, 0), 0).shape == (0,)
    assert TOTAL(zeros(0), 0).item() == 10


def test_int64_and_bool():
    assert kernels.map(lambda v: v / 2)(tensor([5, -5])).tolist() == [2, -2]
    assert kernels.zip(max)(tensor([2**60 + 1, 0]), tensor([2**60, 1])).tolist() == [2**60 + 1, 1]
    assert kernels.map(lambda v: not v)(tensor([True, False])).tolist() == [False, True]
    some = kernels.reduce(lambda a, b: a + b, False)  # an int64, which is converted to bool
    assert some(tensor([[False, False], [True, True]]), 1).tolist() == [False, True]
    assert some(from_numpy(np.ones(256, bool)), 0).item() is True
    assert kernels.map(lambda v: 256 * v)(tensor([True, False])).tolist() == [True, False]


def test_a_wider_result_is_rounded_to_the_dtype_of_the_tensor():
    out = kernels.map(lambda v: v + np.float64(1e-9))(ones(2))
    assert out.dtype == np.float32
    assert out.tolist() == [1, 1]


@pytest.mark.parametrize("fn", [math.exp, abs, numba.njit(cube_and_one)])
def test_functions_that_numba_knows(fn):
    x = values(7, dtype="float64")
    np.testing.assert_allclose(kernels.map(fn)(x).numpy(), [fn(v) for v in x.tolist()], rtol=1e-14)


def test_closures_and_globals():
    def power(n):
        return kernels.map(lambda v: v**n)

    x = values(4, dtype="float64")
    for n in (2, 3):
        np.testing.assert_allclose(power(n)(x).numpy(), x.numpy() ** n, rtol=1e-14)
    table = np.arange(5.0)
    assert kernels.map(lambda v: table[v] * SCALE)(tensor([4, 1])).tolist() == [12, 3]


def test_nan_and_infinity_pass():
    x = tensor([math.nan, math.inf, -math.inf])
    assert kernels.map(lambda v: v != v)(x).tolist() == [1, 0, 0]
    assert CUBE(x)[1:].tolist() == [math.inf, -math.inf]


def curved(v):
    return math.exp(-v) * abs(v) + tanh(2 * v) ** 3 - math.pi / (v * v + 1)


def branching(v):
    return v if v > 0 else -v


DIFFERENTIABLE = [
    (cube_and_one, 1),
    (curved, 1),
    (math.sin, 1),
    (numba.njit(cube_and_one), 1),
    (scaled_sum, 2),
    (operator.mul, 2),
    (math.pow, 2),
]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(("function", "arity"), DIFFERENTIABLE)
def test_gradients_come_from_the_op_table(function, arity, backend):
    operation = (kernels.map, kernels.zip)[arity - 1](function)
    operands = [from_numpy(RNG.uniform(0.2, 2.0, shape), backend=backend) for shape in ((3, 4), (4,))[:arity]]
    expected = operation(*operands)
    for x in operands:
        x.requires_grad = True
    np.testing.assert_allclose(operation(*operands).detach().numpy(), expected.numpy(), rtol=1e-13)
    grad_check(operation, *operands)


def test_gradients_of_a_fold():
    multiply = kernels.reduce(operator.mul, 2.0)
    for n in (1, 2, 3, 7, 8):
        x = from_numpy(RNG.uniform(0.5, 2.0, (2, n)))
        expected = multiply(x, 1)
        x.requires_grad = True
        np.testing.assert_allclose(multiply(x, 1).detach().numpy(), expected.numpy(), rtol=1e-13)
        grad_check(lambda x: multiply(x, 1), x)


def test_a_gradient_that_would_be_lost_is_refused():
    x, y = ones(3, requires_grad=True), ones(3)
    branch, floor = kernels.map(branching), kernels.map(math.lgamma)
    larger, total = kernels.zip(max), kernels.reduce(max, 0.0)
    for lost in (lambda: branch(x), lambda: floor(x), lambda: larger(x, y), lambda: larger(y, x), lambda: total(x, 0)):
        with pytest.raises(RuntimeError, match=r"a tensor of shape \(\d,\) requires a gradient, .*: pass .detach"):
            lost()
    for out in (branch(x.detach()), larger(x.detach(), y), total(y, 0)):
        assert not out.requires_grad
    with no_grad():
        assert not branch(x).requires_grad


def test_a_tensor_without_dimensions_counts_as_one_dimensional():
    assert CUBE(tensor(2.0)).item() == cube_and_one(2.0)
    for keepdim in (False, True):
        assert TOTAL(tensor(2.0), -1, keepdim).shape == ()


# --- errors


def first_line(error):
    return str(error.value).splitlines()[0]


def uses_a_method(v):
    return v.no_such_thing


def uses_an_unknown_name(v):
    return v + no_such_name  # noqa: F821


@pytest.mark.parametrize(
    ("make", "x", "line", "reason"),
    [
        (
            lambda: kernels.map(uses_a_method),
            ones(2),
            "map: Numba cannot compile uses_a_method as a function of one scalar of float32",
            "Unknown attribute 'no_such_thing' of type float32",
        ),
        (
            lambda: kernels.map(uses_an_unknown_name),
            ones(2, dtype="float64"),
            "map: Numba cannot compile uses_an_unknown_name as a function of one scalar of float64",
            "'no_such_name' is not defined",
        ),
        (
            lambda: kernels.map(lambda v: v.no_such_thing),
            tensor([1]),
            "map: Numba cannot compile <lambda> as a function of one scalar of int64",
            "Unknown attribute 'no_such_thing' of type int64",
        ),
        (
            lambda: kernels.map(scaled_sum),
            ones(2),
            "map: Numba cannot compile scaled_sum as a function of one scalar of float32",
            "Signature mismatch: 1 argument types given, but function takes 2 arguments",
        ),
        (
            lambda: kernels.map(functools.partial(scaled_sum, 1)),
            ones(2),
            "as a function of one scalar of float32",
            "Cannot determine Numba type of <class 'functools.partial'>",
        ),
        (
            lambda: lambda x: kernels.zip(lambda a, b: a.no_such_thing)(x, x),
            ones(2),
            "zip: Numba cannot compile <lambda> as a function of two scalars of float32",
            "Unknown attribute 'no_such_thing'",
        ),
        (
            lambda: lambda x: kernels.reduce(lambda a, b: a + str, 0)(x, 0),
            ones(2),
            "reduce: Numba cannot compile <lambda> as a function of two scalars of float32",
            "No implementation of function Function(<built-in function add>)",
        ),
    ],
)
def test_functions_that_numba_cannot_compile(make, x, line, reason):
    with pytest.raises(TypeError, match=re.escape(reason)) as error:
        make()(x)
    assert line in first_line(error)
    for internal in ("_thunk", "_flat", "_fold", "Failed in nopython", "During: ", '"_custom.py', "src/stackgrad"):
        assert internal not in str(error.value)
    assert len(str(error.value)) < 2500
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


class Coloured:
    """The colours of Numba's messages, as it has them if colorama is installed."""

    def __getattr__(self, name):
        return lambda text: f"\x1b[1m{text}\x1b[0m"


def test_the_reason_has_no_colours(monkeypatch):
    monkeypatch.setattr(numba.core.errors, "_termcolor_inst", Coloured())
    with pytest.raises(TypeError, match="Unknown attribute 'no_such_thing' of type float32") as error:
        kernels.map(lambda v: v.no_such_thing)(ones(2))
    assert "\x1b" not in str(error.value)
    assert "During: " not in str(error.value)


@pytest.mark.parametrize(
    ("fn", "found"),
    [
        (lambda v: None, "none"),
        (lambda v: (v, v), "UniTuple"),
        (lambda v: v * 1j, "complex"),
        (lambda v: "a", "str"),
    ],
)
def test_functions_that_return_no_scalar(fn, found):
    with pytest.raises(TypeError, match=rf"map: <lambda> gives .*{found}.* for float32: expected a real number"):
        kernels.map(fn)(ones(2))


def no_ones(v):
    if v == 1:
        raise ValueError("one")
    return v


def test_a_function_that_raises():
    operation = kernels.map(no_ones)
    total = kernels.reduce(lambda a, b: no_ones_of_two(a, b), 0)
    for size in (1, 50_000):
        x = zeros(size)
        assert operation(x).tolist() == [0] * size
        assert total(x, 0).item() == 0
        x[-1] = 1
        for view in (x, x[::-1], x.reshape(1, -1).expand(3, -1)):
            with pytest.raises(RuntimeError, match="map: no_ones raised an exception for some element"):
                operation(view)
        with pytest.raises(RuntimeError, match="reduce: <lambda> raised"):
            total(x, 0)


@numba.njit
def no_ones_of_two(a, b):
    if b == 1:
        raise ValueError
    return a + b


def test_wrong_arguments():
    with pytest.raises(TypeError, match="map of 3: expected a function of one scalar"):
        kernels.map(3)
    with pytest.raises(TypeError, match="reduce of None: expected a function of two scalars"):
        kernels.reduce(None, 0)
    with pytest.raises(TypeError, match="map of ndarray: expected a tensor"):
        kernels.map(abs)(np.ones(3))
    with pytest.raises(TypeError, match="zip of float: expected a tensor"):
        kernels.zip(max)(ones(3), 1.0)
    with pytest.raises(TypeError, match="zip: tensors of float32 and float64: expected one dtype"):
        kernels.zip(max)(ones(3), ones(3, dtype="float64"))
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(4,\) do not broadcast"):
        kernels.zip(max)(ones(3), ones(4))
    with pytest.raises(IndexError, match="dim 1 is out of range for 1 dimensions: expected -1 to 0"):
        kernels.reduce(max, 0)(ones(3), 1)
    with pytest.raises(IndexError, match="dim 1 is out of range for 0 dimensions: expected -1 to 0"):
        kernels.reduce(max, 0)(full((), 1.0), 1)
