"""Rounding, floor division and remainders: PyTorch's values and errors."""

import math

import numpy as np
import pytest

from stackgrad.tensor import pow, remainder, tensor

X = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.6, -2.6, math.inf, math.nan]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("floor", [-3, -2, -1, 0, 1, 2, 2, -3, math.inf, math.nan]),
        ("ceil", [-2, -1, 0, 1, 2, 3, 3, -2, math.inf, math.nan]),
        ("trunc", [-2, -1, 0, 0, 1, 2, 2, -2, math.inf, math.nan]),
        ("round", [-2, -2, 0, 0, 2, 2, 3, -3, math.inf, math.nan]),
    ],
)
def test_roundings(name, expected):
    for dtype in ("float32", "float64"):
        x = tensor(X, dtype=dtype, requires_grad=True)
        out = getattr(x, name)()
        assert out.dtype == dtype
        np.testing.assert_array_equal(out.detach().numpy(), np.array(expected, dtype))
        out.sum().backward()
        assert x.grad.tolist() == [0.0] * len(X)
    whole = tensor([3, -3])
    out = getattr(whole, name)()
    assert out.tolist() == [3, -3]
    assert out.dtype == "int64"
    assert out is not whole
    with pytest.raises(TypeError, match=f"{name} of bool: expected float32, float64 or int64"):
        getattr(tensor([True]), name)()


def test_round_to_decimals():
    x = tensor([1.25, -1.375, 149.0, 151.0], dtype="float64")
    assert x.round(decimals=1).tolist() == [1.2, -1.4, 149.0, 151.0]
    assert x.round(decimals=-2).tolist() == [0.0, -0.0, 100.0, 200.0]
    with pytest.raises(TypeError, match="round of int64 with decimals=1"):
        tensor([1]).round(decimals=1)


def test_squares():
    assert tensor([1.5, -2.0]).square().tolist() == [2.25, 4.0]
    assert tensor([True, False]).square().tolist() == [1, 0]


def test_frac_keeps_the_sign():
    assert tensor([1.25, -1.25, 3.0]).frac().tolist() == [0.25, -0.25, 0.0]
    with pytest.raises(TypeError, match="frac of int64: expected float32 or float64"):
        tensor([1]).frac()


def test_remainders_have_the_sign_of_the_divisor():
    x, y = tensor([5.5, -5.5, 5.5, -5.5, 6.0, 1.0]), tensor([2.0, 2.0, -2.0, -2.0, 2.0, math.inf])
    assert (x % y).tolist() == [1.5, 0.5, -0.5, -1.5, 0.0, 1.0]
    assert (x // y).tolist() == [2.0, -3.0, -3.0, 2.0, 3.0, 0.0]
    assert (7 % tensor([4.0, -4.0])).tolist() == [3.0, -1.0]
    assert (7 // tensor([4.0, -4.0])).tolist() == [1.0, -2.0]
    assert np.isnan((tensor([1.0, math.nan, math.inf]) % tensor([0.0, 2.0, 2.0])).numpy()).all()
    np.testing.assert_array_equal((tensor([1.0, -1.0, 0.0]) // 0.0).numpy(), [math.inf, -math.inf, math.nan])


def test_a_remainder_of_large_values_is_exact():
    x, y = tensor([1e16, 1.0], dtype="float64"), tensor([3.0, 0.1], dtype="float64")
    assert (x % y).tolist() == [1e16 % 3.0, 1.0 % 0.1]


def test_integers():
    x = tensor([7, -7, 7, -7, 0])
    y = tensor([4, 4, -4, -4, 5])
    assert (x % y).tolist() == [3, 1, -1, -3, 0]
    assert (x // y).tolist() == [1, -2, -2, 1, 0]
    assert (x % y).dtype == "int64"
    assert (x % 2.5).dtype == "float32"
    least = tensor([-(2**63)])
    assert (least % -1).tolist() == [0]
    assert (least // -1).tolist() == [-(2**63)]
    assert (tensor([True, False]) % 2).tolist() == [1, 0]
    assert remainder(7, tensor([4, -4])).tolist() == [3, -1]
    assert pow(2, tensor([1, 3])).tolist() == [2, 8]


@pytest.mark.parametrize("name", ["floor_divide", "remainder"])
def test_integers_over_zero(name):
    for divisor in (0, tensor([1, 0]), False):
        with pytest.raises(ZeroDivisionError, match=f"{name} by zero"):
            getattr(tensor([1, 2]), name)(divisor)
    with pytest.raises(TypeError, match=f"{name} of bool: expected int64 or float32 or float64"):
        getattr(tensor([True]), name)(True)


def test_rounding_modes():
    x = tensor([7.0, -7.0])
    assert x.div(2).tolist() == [3.5, -3.5]
    assert x.div(2, rounding_mode="floor").tolist() == [3.0, -4.0]
    assert x.div(2, rounding_mode="trunc").tolist() == [3.0, -3.0]
    y = tensor([0.0, 2.0], requires_grad=True)
    x.requires_grad_().div(y, rounding_mode="trunc").sum().backward()
    assert x.grad.tolist() == y.grad.tolist() == [0.0, 0.0]
    whole = tensor([7, -7, -8])
    assert whole.div(2, rounding_mode="trunc").tolist() == [3, -3, -4]
    assert whole.div(-2, rounding_mode="trunc").tolist() == [-3, 3, 4]
    assert whole.div(2, rounding_mode="floor").tolist() == [3, -4, -4]
    with pytest.raises(ValueError, match="rounding_mode 'ceil': expected None, 'floor' or 'trunc'"):
        x.div(2, rounding_mode="ceil")


def test_in_place():
    x = tensor([7.5, -7.5])
    memory = x
    x %= 4
    assert x is memory
    assert x.tolist() == [3.5, 0.5]
    x //= 2
    assert x is memory
    assert x.tolist() == [1.0, 0.0]
    for name in ("floor_", "ceil_", "trunc_", "round_"):
        x = tensor([1.5])
        assert getattr(x, name)() is x
        assert x.item() in (1.0, 2.0)


def test_other_operands_return_not_implemented():
    class Other:
        def __rmod__(self, other):
            return "mod"

        def __rfloordiv__(self, other):
            return "floordiv"

    assert tensor([1.0]) % Other() == "mod"
    assert tensor([1.0]) // Other() == "floordiv"
    with pytest.raises(TypeError):
        tensor([1.0]) % "2"
    with pytest.raises(TypeError, match="remainder of a tensor and a NumPy array"):
        tensor([1.0]) % np.ones(1)
