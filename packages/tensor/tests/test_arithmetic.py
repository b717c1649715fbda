"""The elementwise methods and operators: scalars and integers among the operands, logic, and errors."""

import numpy as np
import pytest
from hypothesis import given, settings

from stackgrad.tensor import NumpyBackend, Tensor, concatenate, grad, maximum, ones, rand, tensor, where, zeros
from stackgrad.tensor._ops import elementwise
from stackgrad.tensor.testing import draws

OTHER = type("Other", (NumpyBackend,), {"name": "other"})()


def test_scalars_on_either_side():
    x = tensor([1.0, 2.0])
    assert (1 + x).tolist() == [2.0, 3.0]
    assert (1 - x).tolist() == [0.0, -1.0]
    assert (2 / x).tolist() == [2.0, 1.0]
    assert (2**x).tolist() == [2.0, 4.0]
    assert (-x).tolist() == [-1.0, -2.0]
    assert abs(-x).tolist() == [1.0, 2.0]
    assert (x > 1).tolist() == [False, True]
    assert maximum(1.5, x).tolist() == [1.5, 2.0]
    assert where(x > 1, 1, 0.5).tolist() == [0.5, 1.0]
    assert where(x > 1, 1, 0).dtype == np.int64


def test_comparisons_and_logic():
    x, y = tensor([1.0, 2.0, 3.0]), tensor([2.0, 2.0, 2.0])
    assert (x == y).tolist() == [False, True, False]
    assert (x != y).tolist() == [True, False, True]
    assert ((x >= y) & (x <= y)).tolist() == [False, True, False]
    assert ((x > y) | (x < y)).tolist() == [True, False, True]
    assert (~(x > y)).tolist() == [True, True, False]
    nan = tensor([float("nan")])
    assert (nan == nan).tolist() == [False]
    assert (nan != nan).tolist() == [True]


def test_comparison_with_other_objects():
    x = tensor([1.0])
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True
    assert (x == [1.0]) is False


def test_integers():
    x = tensor([-3, 2, 5])
    assert (x * x - 1).tolist() == [8, 3, 24]
    assert (x**2).tolist() == [9, 4, 25]
    assert (2 ** tensor([0, 1, 62])).tolist() == [1, 2, 2**62]
    assert x.abs().tolist() == [3, 2, 5]
    assert x.sign().tolist() == [-1, 1, 1]
    assert x.relu().tolist() == [0, 2, 5]
    assert x.clip(-1, 4).tolist() == [-1, 2, 4]
    assert x.maximum(0).dtype == np.int64
    assert tensor([True, False]).sign().tolist() == [True, False]
    assert (tensor([2**53 + 1]) > 2**53).tolist() == [True]
    assert (tensor([2**62]) + tensor([2**62])).tolist() == [-(2**63)]


def test_bits_of_integers():
    x, y = tensor([5, 3, -1]), tensor([6, -2, 2**62])
    for a, b in (
        (x, y),
        (x, -2),
        (12, y),
        (x, tensor(7)),
        (x, True),
        (x, tensor([True, False, True])),
        (x, np.int64(3)),
    ):
        left, right = (np.asarray(v.numpy() if isinstance(v, Tensor) else v) for v in (a, b))
        assert (a & b).tolist() == (left & right).tolist()
        assert (a | b).tolist() == (left | right).tolist()
        assert (a ^ b).tolist() == (left ^ right).tolist()
        assert (a & b).dtype == (a | b).dtype == (a ^ b).dtype == np.int64
    assert (~x).tolist() == [-6, -4, 0]
    assert x.bitwise_not().tolist() == [-6, -4, 0]
    assert (x.bitwise_and(y).tolist(), x.bitwise_or(y).tolist()) == ((x & y).tolist(), (x | y).tolist())
    assert x.bitwise_xor(1).tolist() == [4, 2, -2]


def test_bits_of_bools():
    x, y = tensor([True, True, False, False]), tensor([True, False, True, False])
    assert (x & y).tolist() == [True, False, False, False]
    assert (x | y).tolist() == [True, True, True, False]
    assert (x ^ y).tolist() == [False, True, True, False]
    assert (~x).tolist() == [False, False, True, True]
    assert (x & True).dtype == (False | x).dtype == (x ^ y).dtype == (~x).dtype == np.bool_
    assert (x & 3).tolist() == [1, 1, 0, 0]


def test_logic_of_scalars():
    x, y = tensor([0.0, 2.0, float("nan"), -0.0]), tensor([1, 1, 0, 0])
    assert x.logical_and(y).tolist() == [False, True, False, False]
    assert x.logical_or(y).tolist() == [True, True, True, False]
    assert x.logical_xor(y).tolist() == [True, False, True, False]
    assert x.logical_not().tolist() == [True, False, False, True]
    assert y.logical_and(0.5).tolist() == [True, True, False, False]
    assert x.logical_or(y).dtype == np.bool_


def test_clip_with_one_bound():
    x = tensor([-2.0, float("nan"), 0.5, 3.0], dtype="float64", requires_grad=True)
    for y, values, passes in (
        (x.clip(min=0), [0.0, np.nan, 0.5, 3.0], [0, 1, 1, 1]),
        (x.clip(max=0.5), [-2.0, np.nan, 0.5, 0.5], [1, 1, 1, 0]),
        (x.clamp(None, 0.5), [-2.0, np.nan, 0.5, 0.5], [1, 1, 1, 0]),
        (x.clip(-1, 1), [-1.0, np.nan, 0.5, 1.0], [0, 1, 1, 0]),
    ):
        np.testing.assert_array_equal(y.detach().numpy(), values)
        found = grad(y.sum(), x)[0].numpy()
        np.testing.assert_array_equal(found[[0, 2, 3]], np.array(passes)[[0, 2, 3]])
    i = tensor([-3, 2, 2**62])
    assert i.clip(min=0).tolist() == [0, 2, 2**62]
    assert i.clip(max=1).tolist() == [-3, 1, 1]
    assert i.clip(min=0.5).dtype == np.float32
    assert i.clip(min=tensor([1, 5, 1])).tolist() == [1, 5, 2**62]
    assert tensor([True, False]).clip(0, 1).dtype == np.int64
    with pytest.raises(ValueError, match="clip with neither min nor max: expected at least one of them"):
        i.clip()


@pytest.mark.parametrize("exponent", [-1, tensor([1, -1], backend="numpy"), np.int64(-2)])
def test_an_integer_to_a_negative_power_is_refused(exponent):
    with pytest.raises(ValueError, match=r"an integer to a negative power is not an integer: use .astype\(float32\)"):
        tensor([2, 3]) ** exponent
    with pytest.raises(ValueError, match="negative power"):
        tensor([2, 3]).pow(exponent)


def test_powers():
    assert (tensor([2, 4]) ** -1.0).tolist() == [0.5, 0.25]
    assert (tensor([2.0]) ** -1).tolist() == [0.5]
    assert (zeros(0, dtype="int64") ** zeros(0, dtype="int64")).shape == (0,)
    x = tensor([0.0, 0.0, 2.0], dtype="float64", requires_grad=True)
    y = tensor([0.0, 1.0, 3.0], dtype="float64", requires_grad=True)
    (x**y).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0.0, 1.0, 12.0])
    np.testing.assert_allclose(y.grad.numpy(), [0.0, 0.0, 8 * np.log(2)])


def test_clip_with_crossed_bounds_gives_the_upper_one():
    x = tensor([-5.0, 0.0, 5.0], requires_grad=True)
    high = tensor([-1.0], requires_grad=True)
    y = x.clip(1, high)
    assert y.tolist() == [-1.0, -1.0, -1.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]
    assert high.grad.tolist() == [3.0]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda b: b - b, "sub of bool: expected int64 or float32 or float64"),
        (lambda b: -b, "neg of bool: expected int64 or float32 or float64"),
        (lambda b: b.pow(b), "pow of bool"),
        (lambda b: b & 1.0, "bitwise_and of float32: expected bool or int64"),
        (lambda b: ~b.astype("float32"), "bitwise_xor of float32: expected bool or int64"),
        (lambda b: where(b.astype("int64"), 1, 2), "where: the condition has dtype int64: expected bool"),
        (lambda b: where(True, b, b), "where: condition: got bool, expected a bool tensor"),
        (lambda b: maximum(1, 2), "maximum of Python scalars alone: expected a tensor among them"),
        (lambda b: b.add("a"), "'a': got str, expected a tensor or a real number"),
        (
            lambda b: b.add(np.ones(2)),
            r"operand: got a NumPy array, expected a tensor or a real number; use tensor\(...\)",
        ),
        (lambda b: b.logical_and(np.ones(2)), "operand: got a NumPy array"),
        (lambda b: b.logical_or("a"), "'a': got str"),
        (lambda b: b + "a", r"unsupported operand type\(s\) for \+: 'Tensor' and 'str'"),
        (lambda b: b * np.ones(2), r"mul of a tensor and a NumPy array: make the array a tensor with tensor\(...\)"),
        (lambda b: np.ones(2) == b, "eq of a tensor and a NumPy array"),
        (
            lambda b: b @ np.ones((2, 2)),
            r"matmul: got a NumPy array, expected a tensor; use tensor\(...\) or from_numpy",
        ),
        (lambda b: np.ones((2, 2)) @ b, "matmul: got a NumPy array"),
        (lambda b: [1, 2] @ b, r"matmul: got list, expected a tensor; use tensor\(...\)"),
    ],
)
def test_invalid_operands_are_named(function, message):
    with pytest.raises(TypeError, match=message):
        function(tensor([True, False]))


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2,\) do not broadcast: dimension -1 is 3 and 2"):
        zeros(2, 3) + zeros(2)


def test_tensors_of_two_backends_do_not_mix():
    x, y = zeros(2, 2), zeros(2, 2, backend=OTHER)
    message = r": tensors on backends 'numpy' and 'other' do not mix: bring one over with .to\('numpy'\)"
    for name, function in (
        ("add", lambda: x + y),
        ("matmul", lambda: x @ y),
        ("concatenate", lambda: concatenate([x, y])),
        ("where", lambda: where(x > 0, x, y)),
    ):
        with pytest.raises(ValueError, match=name + message):
            function()
    assert (x + y.to("numpy")).backend is x.backend


@given(draws())
@settings(max_examples=50)
def test_broadcast_operands_get_gradients_of_their_shapes(draw):
    a, b = draw.shapes(2)
    x, y = ones(a, requires_grad=True), ones(b, requires_grad=True)
    out = x * y
    out.backward(ones(out.shape))
    assert (x.grad.shape, y.grad.shape) == (a, b)
    assert x.grad.sum().item() == y.grad.sum().item() == out.size


def test_elementwise_keeps_the_memory_order():
    y = elementwise("add", rand(3, 4).T, 1).T
    assert y.backend.is_contiguous(y.data)
