"""In-place methods and operators: the values they write, the dtypes they keep, and errors."""

import numpy as np
import pytest

from stackgrad.tensor import arange, no_grad, ones, tensor, zeros
from stackgrad.tensor.testing import WRITING_CASES


@pytest.mark.parametrize("case", WRITING_CASES, ids=str)
def test_writing(case):
    case.run("numpy", max_examples=300 if case.kind == "values" else None)


def test_methods_write_and_count():
    x = ones(3)
    assert x.add_(1) is x
    assert x.mul_(tensor([1.0, 2.0, 3.0])) is x
    assert x.tolist() == [2.0, 4.0, 6.0]
    assert x.copy_(tensor([7])).tolist() == [7.0, 7.0, 7.0]
    assert x.zero_().tolist() == [0.0, 0.0, 0.0]
    x[1:] = 5
    assert x.version.count == 5
    assert ones(2, dtype="bool").zero_().tolist() == [False, False]
    assert tensor([1, 2]).add_(True).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x: x.add_(1), [5.0, -8.0]),
        (lambda x: x.add_(tensor([1.0, 2.0]), alpha=0.5), [4.5, -8.0]),
        (lambda x: x.sub_(1, alpha=2), [2.0, -11.0]),
        (lambda x: x.mul_(x), [16.0, 81.0]),
        (lambda x: x.div_(2), [2.0, -4.5]),
        (lambda x: x.pow_(2), [16.0, 81.0]),
        (lambda x: x.fill_(3), [3.0, 3.0]),
        (lambda x: x.fill_(tensor(2.5)), [2.5, 2.5]),
        (lambda x: x.lerp_(tensor([8.0, -9.0]), 0.25), [5.0, -9.0]),
        (lambda x: x.lerp_(tensor([8.0, -9.0]), tensor([1.0, 0.5])), [8.0, -9.0]),
        (lambda x: x.lerp_(tensor(8.0), tensor(0.5, dtype="float64")), [6.0, -0.5]),
        (lambda x: x.lerp_(tensor([8.0, -9.0]), tensor(2)), [12.0, -9.0]),
        (lambda x: x.clamp_(0, 3), [3.0, 0.0]),
        (lambda x: x.clamp_(min=-1), [4.0, -1.0]),
        (lambda x: x.clip_(max=1), [1.0, -9.0]),
        (lambda x: x.clamp_(min=2, max=1), [1.0, 1.0]),
        (lambda x: x.neg_(), [-4.0, 9.0]),
        (lambda x: x.abs_().sqrt_(), [2.0, 3.0]),
        (lambda x: x.abs_().rsqrt_().fill_(1).log_().exp_(), [1.0, 1.0]),
        (lambda x: x.relu_(), [4.0, 0.0]),
        (lambda x: x.zero_().tanh_().sigmoid_(), [0.5, 0.5]),
    ],
)
def test_values_that_methods_write(change, expected):
    x = tensor([4.0, -9.0])
    view = x[:]
    assert change(x) is x
    assert view.tolist() == expected


def test_operators_write_in_place():
    x = y = tensor([4.0, 9.0])
    x += 1
    x -= tensor([1.0])
    x *= 2
    x /= np.float32(4)
    x **= 2
    assert x is y
    assert y.tolist() == [4.0, 20.25]
    mask = other = tensor([True, False])
    mask &= tensor([True, True])
    mask |= tensor([False, False])
    mask ^= tensor([True, True])
    assert mask is other
    assert other.tolist() == [False, True]
    bits = other = tensor([4, 6])
    bits ^= 3
    bits |= tensor([8, 0])
    bits &= 14
    assert bits is other
    assert other.tolist() == [14, 4]
    with pytest.raises(TypeError, match="a tensor and a NumPy array"):
        x += np.ones(2)
    with pytest.raises(TypeError, match="unsupported operand"):
        x += "1"


@pytest.mark.parametrize("alpha", [1, 3, True])
def test_bools_add_up_to_bools(alpha):
    x = tensor([True, False, False])
    assert x.add_(tensor([True, True, False]), alpha=alpha).dtype == "bool"
    assert x.tolist() == [True, True, False]
    assert x.add_(tensor([False, False, True]), alpha=0).tolist() == [True, True, False]
    assert x.add_(True, alpha=alpha).tolist() == [True, True, True]
    assert tensor([4]).add_(tensor([True]), alpha=3).tolist() == [7]


def test_a_part_is_changed_by_operators():
    x = arange(6).reshape(2, 3)
    x[0] += 10
    x[:, 1:] *= 2
    x[x > 20] -= 1
    x[[1, 0], [0, 0]] += tensor([1, 2])
    assert x.tolist() == [[12, 21, 23], [4, 8, 10]]


def test_the_idiom_of_an_unrecorded_training_step():
    p = tensor([1.0, 2.0], requires_grad=True)
    (p * p).sum().backward()
    before = p
    with no_grad():
        p -= 0.1 * p.grad
    assert p is before
    np.testing.assert_allclose(p.detach().numpy(), [0.8, 1.6], rtol=1e-6)
    assert p.is_leaf
    p.grad *= 0.5  # a gradient requires none
    assert p.grad.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: tensor([1, 2]).mul_(1.5), TypeError, "mul_ of int64 gives float32, which it cannot hold"),
        (lambda x: tensor([1, 2]).div_(2), TypeError, "div_ of int64 gives float32"),
        (lambda x: tensor([1, 2]).add_(tensor([1, 2]), alpha=0.5), TypeError, "add_ of int64 gives float32"),
        (lambda x: tensor([True]).add_(1), TypeError, "add_ of bool gives int64"),
        (lambda x: tensor([True]).__ixor__(3), TypeError, "\\^= of bool gives int64"),
        (lambda x: tensor([1, 2]).clamp_(0.5), TypeError, "clamp_ of int64 gives float32"),
        (lambda x: tensor([1, 2]).fill_(0.5), TypeError, "would lose values"),
        (lambda x: x.add_(ones(2, 2)), ValueError, r"add_ of shape \(2,\) gives \(2, 2\): operands must broadcast"),
        (lambda x: x.fill_(ones(2)), ValueError, r"fill_ with a tensor of shape \(2,\): expected no dimensions"),
        (lambda x: x.copy_(ones(1, 2)), ValueError, r"copy_ of shape \(1, 2\) to \(2,\): expected as many dimensions"),
        (lambda x: tensor([1, 2]).lerp_(tensor([3, 4]), 2), TypeError, "lerp_ of int64: expected float32 or float64"),
        (lambda x: x.fill_(np.ones(2)), TypeError, r"fill_ with ndarray: expected one value; use copy_\(...\)"),
        (lambda x: x.clamp_(), ValueError, "clamp_ without bounds: expected min, max, or both"),
        (lambda x: x.lerp_(ones(2, dtype="float64"), 0.5), TypeError, "lerp_ of float32 with a tensor of float64"),
        (lambda x: zeros(1).expand(3).add_(1), ValueError, r"add_ to an expanded view of shape \(3,\): .* clone\(\)"),
    ],
)
def test_invalid_writes_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        change(ones(2))


def test_dtypes():
    x = ones(2)
    assert x.add_(tensor([0.5, 0.5], dtype="float64")).dtype == np.float32
    assert x.tolist() == [1.5, 1.5]
    assert tensor([1, 2]).add_(True).clamp_(min=3).tolist() == [3, 3]


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 5), (2, 2, 2)])
def test_fill_diagonal(shape):
    x = ones(*shape)
    expected = np.ones(shape, np.float32)
    expected[(np.arange(min(shape)),) * len(shape)] = -2

    assert x.fill_diagonal_(-2) is x
    np.testing.assert_array_equal(x.numpy(), expected)


def test_the_gradient_of_a_filled_diagonal_is_zero_there():
    x = ones(2, 2, requires_grad=True)
    (x * 3).fill_diagonal_(5).sum().backward()

    assert x.grad.tolist() == [[0, 3], [3, 0]]


@pytest.mark.parametrize("shape", [(3,), (), (2, 2, 3)])
def test_shapes_without_a_diagonal(shape):
    with pytest.raises(ValueError, match="expected a matrix, or dimensions of one size"):
        ones(*shape).fill_diagonal_(0)
