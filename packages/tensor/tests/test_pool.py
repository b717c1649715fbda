"""Pooling beyond the cases of stackgrad.tensor.testing."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackgrad.tensor import (
    Generator,
    Tensor,
    arange,
    avg_pool1d,
    avg_pool2d,
    conv2d,
    grad,
    grad_check,
    max_pool1d,
    max_pool2d,
    no_grad,
    ones,
    randn,
    tensor,
    zeros,
)
from stackgrad.tensor.testing import WINDOW_CASES


@pytest.mark.parametrize("case", [case for case in WINDOW_CASES if "pool" in case.name], ids=str)
def test_on_numpy(case):
    case.run("numpy", max_examples=100 if case.kind == "values" else None)


def test_a_worked_example():
    x = arange(16, dtype="float32").reshape(1, 1, 4, 4)
    assert max_pool2d(x, (2, 2), (2, 2)).tolist() == [[[[5.0, 7.0], [13.0, 15.0]]]]
    assert avg_pool2d(x, (2, 2), (2, 2)).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
    assert max_pool2d(x, (3, 3), (2, 2)).tolist() == [[[[10.0]]]]  # the ragged edge is dropped
    assert avg_pool2d(x, (2, 2), (2, 2), ((1, 1), (1, 1)))[0, 0, 0].tolist() == [0.0, 0.75, 0.75]


def test_padding_is_never_the_maximum():
    x = tensor([[[[-1.0, -np.inf], [-2.0, -3.0]]]], requires_grad=True)
    out = max_pool2d(x, (2, 2), (1, 1), ((1, 0), (0, 1)))
    assert out.tolist() == [[[[-1.0, -np.inf], [-1.0, -3.0]]]]
    out.backward(tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert x.grad.tolist() == [[[[4.0, 2.0], [0.0, 4.0]]]]


def test_the_gradient_goes_to_the_first_of_equals():
    x = zeros(1, 1, 2, 4, requires_grad=True)
    max_pool2d(x, (2, 2), (2, 2)).sum().backward()
    assert x.grad.tolist() == [[[[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]]


@pytest.fixture
def pooled():
    """x, weight and bias of a convolution, its relu, and the max pool of that."""
    generator = Generator(0)
    leaves = [randn(*shape, generator=generator, requires_grad=True) for shape in ((2, 3, 6, 6), (4, 3, 3, 3), (4,))]
    hidden = conv2d(*leaves, activation="relu")
    return leaves, hidden, max_pool2d(hidden, (2, 2), (2, 2))


def same(found, expected, by=0):
    return all(
        np.allclose(a.detach().numpy(), b.numpy(), rtol=by, atol=by) for a, b in zip(found, expected, strict=True)
    )


def test_after_a_relu_all_gradients_equal_those_computed_step_by_step(pooled):
    leaves, hidden, out = pooled
    middle = hidden.detach()
    middle.requires_grad = True
    (spread,) = grad(max_pool2d(middle, (2, 2), (2, 2)).sum(), middle)
    assert (spread.numpy()[hidden.detach().numpy() == 0] == 1).any()  # it is not masked by the relu
    expected = grad(hidden, leaves, spread, retain_graph=True)
    assert same(grad(out.sum(), leaves, retain_graph=True), expected)
    assert same(grad(out.sum(), leaves, create_graph=True), expected, by=1e-5)
    found = grad(out.sum(), [hidden, *leaves], retain_graph=True)
    assert same(found, [spread, *expected])
    assert all(type(gradient) is Tensor for gradient in found)
    assert same(grad((out.sum() + hidden.sum()), hidden, retain_graph=True), [spread + 1])
    assert same(
        grad((out.sum() + hidden.sum()), leaves), grad(conv2d(*leaves, activation="relu"), leaves, spread + 1), by=1e-5
    )


def test_after_a_relu_the_result_may_be_written_but_not_the_image(pooled):
    leaves, hidden, out = pooled
    expected = grad(out.sum(), leaves, retain_graph=True)
    with no_grad():
        out += 1
    assert same(grad(out.sum(), leaves, retain_graph=True), expected)
    with no_grad():
        hidden += 1
    with pytest.raises(RuntimeError, match="changed in place"):
        grad(out.sum(), leaves)


def test_a_convolution_masks_the_gradient_under_the_windows(pooled, monkeypatch):
    leaves, hidden, out = pooled
    calls, masked = [], out.backend.max_pool2d_relu_grad
    monkeypatch.setattr(out.backend, "max_pool2d_relu_grad", lambda *a: calls.append(None) or masked(*a))
    out.sum().backward(retain_graph=True)
    assert len(calls) == 1
    (out.sum() + hidden.sum()).backward()  # the gradient is not that of a pool alone
    assert len(calls) == 1
    max_pool2d(conv2d(*leaves), (2, 2), (2, 2)).sum().backward()  # without relu
    assert len(calls) == 1


def test_empty_pools():
    for shape in ((0, 2, 4, 4), (2, 0, 4, 4)):
        for pool in (max_pool2d, avg_pool2d):
            x = zeros(shape, requires_grad=True)
            out = pool(x, (2, 2), (2, 2))
            assert out.shape == (*shape[:2], 2, 2)
            out.sum().backward()
            assert x.grad.shape == shape


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        (
            (2, 4, 4),
            ((2, 2), (2, 2)),
            r"pool2d: input of shape \(2, 4, 4\): expected \(batch, channels, height, width\)",
        ),
        (
            (1, 1, 4, 4),
            ((5, 2), (2, 2)),
            r"kernel \(5, 2\) with dilation \(1, 1\) spans 5x2, more than the image of 4x4",
        ),
        (
            (1, 1, 4, 4),
            ((2, 2), (2, 2), ((2, 0), (0, 0))),
            r"padding \(\(2, 0\), \(0, 0\)\) is more than half of kernel \(2, 2\)",
        ),
        ((1, 1, 0, 4), ((2, 2), (2, 2), ((1, 1), (0, 0))), r"input of shape \(1, 1, 0, 4\) has no rows or no columns"),
        ((1, 1, 4, 4), ((0, 2), (2, 2)), r"kernel_size must be an int or 2 of them .* got \(0, 2\)"),
    ],
)
def test_invalid_arguments_are_named(pool, shape, arguments, message):
    with pytest.raises(ValueError, match=message):
        pool(zeros(shape), *arguments)


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
def test_integers_are_not_pooled(pool):
    with pytest.raises(TypeError, match="pool2d: input of dtype int64: expected float32 or float64"):
        pool(zeros(1, 1, 4, 4, dtype="int64"), (2, 2), (2, 2))


def test_the_last_window_may_extend_past_the_end():
    x = arange(5, dtype="float32").reshape(1, 1, 1, 5)
    assert max_pool2d(x, (1, 2), (1, 2), ceil_mode=True).tolist() == [[[[1.0, 3.0, 4.0]]]]
    assert max_pool2d(x, (1, 2), (1, 3), ceil_mode=True).tolist() == [[[[1.0, 4.0]]]]
    assert max_pool2d(x, (1, 2), (1, 5), ((0, 0), (0, 1)), ceil_mode=True).tolist() == [
        [[[1.0]]]
    ]  # none starts in padding
    assert avg_pool2d(x, (1, 2), (1, 2), ceil_mode=True).tolist() == [[[[0.5, 2.5, 4.0]]]]
    assert avg_pool2d(x, (1, 2), (1, 3), ((0, 0), (1, 1)), True, False).tolist() == [[[[0.0, 2.5]]]]
    assert avg_pool2d(x, (1, 2), (1, 3), ((0, 0), (1, 1)), True, True).tolist() == [[[[0.0, 2.5]]]]
    assert avg_pool2d(x, (1, 4), (1, 4), ((0, 0), (1, 0)), count_include_pad=False)[0, 0, 0].tolist() == [1.0]
    assert avg_pool2d(x, (1, 2), (1, 2), ceil_mode=True, divisor_override=1).tolist() == [[[[1.0, 5.0, 4.0]]]]


def by_windows(x, kernel, stride, padding, dilation, ceil_mode):
    """The indices of each window along the last dimension, without those past the padded end; below 0 is padding."""
    span = x.shape[-1] + 2 * padding - dilation * (kernel - 1) - 1
    count = (math.ceil(span / stride) if ceil_mode else span // stride) + 1
    if (count - 1) * stride >= x.shape[-1] + padding:
        count -= 1
    at = [i * stride - padding + dilation * np.arange(kernel) for i in range(count)]
    return [each[each < x.shape[-1] + padding] for each in at]


@settings(max_examples=60)
@given(st.data())
def test_pools_of_sequences_equal_loops(data):
    kernel, stride = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    padding, ceil_mode = data.draw(st.integers(0, kernel // 2)), data.draw(st.booleans())
    dilation = data.draw(st.integers(1, 2))
    x = np.random.default_rng(data.draw(st.integers(0, 99))).standard_normal((2, 2, data.draw(st.integers(8, 12))))
    leaf = tensor(x, requires_grad=True)
    windows = by_windows(x, kernel, stride, padding, dilation, ceil_mode)
    inside = [each[(each >= 0) & (each < x.shape[-1])] for each in windows]
    found = max_pool1d(leaf, kernel, stride, padding, dilation, ceil_mode)
    expected = np.stack([x[..., each].max(-1) for each in inside], -1)
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    grad_check(lambda x: max_pool1d(x, kernel, stride, padding, dilation, ceil_mode), leaf)
    windows = by_windows(x, kernel, stride, padding, 1, ceil_mode)
    inside = [each[(each >= 0) & (each < x.shape[-1])] for each in windows]
    for count_padding in (True, False):
        lengths = [len(each) for each in (windows if count_padding else inside)]
        expected = np.stack([x[..., each].sum(-1) / n for each, n in zip(inside, lengths, strict=True)], -1)
        found = avg_pool1d(leaf, kernel, stride, padding, ceil_mode, count_padding)
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
        grad_check(lambda x, c=count_padding: avg_pool1d(x, kernel, stride, padding, ceil_mode, c), leaf)


def test_the_values_of_pytorch():
    x = arange(12, dtype="float32").reshape(1, 1, 3, 4)
    assert avg_pool2d(x, 2, 2, 1, True, False).tolist() == [[[[0.0, 1.5, 3.0], [6.0, 7.5, 9.0]]]]
    assert avg_pool2d(x, (2, 3), 2, (1, 0), True).tolist() == [[[[0.5, 1.25], [7.0, 8.5]]]]
    summed = avg_pool2d(x, (2, 3), 2, (1, 0), True, divisor_override=3)
    np.testing.assert_allclose(summed.numpy(), [[[[1.0, 5 / 3], [14.0, 34 / 3]]]], rtol=1e-6)
    assert max_pool2d(x, 2, 3, 1, ceil_mode=True).tolist() == [[[[0.0, 3.0], [8.0, 11.0]]]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x: max_pool2d(x, 2, padding=2, dilation=2),
            "padding ((2, 2), (2, 2)) is more than half of kernel (2, 2)",
        ),
        (
            lambda x: max_pool2d(x, 4, dilation=2),
            "kernel (4, 4) with dilation (2, 2) spans 7x7, more than the image of 4x4",
        ),
        (lambda x: max_pool2d(x, 2, stride=(1, 0)), "stride must be an int or 2 of them"),
        (lambda x: avg_pool2d(x, 2, divisor_override=0), "divisor_override must be an int other than 0; got 0"),
        (lambda x: max_pool1d(x, 2), "max_pool1d: input of shape (1, 1, 4, 4): expected (batch, channels, width)"),
    ],
)
def test_other_invalid_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(ones(1, 1, 4, 4))


def test_padding_is_at_most_half_of_a_window_without_its_dilation():
    x = arange(6, dtype="float32").reshape(1, 1, 6)
    assert max_pool1d(x, 2, 1, 1, 3).tolist() == [[[2.0, 3.0, 4.0, 5.0, 3.0]]]  # as in PyTorch
    with pytest.raises(ValueError, match=r"padding \(\(0, 0\), \(2, 2\)\) is more than half of kernel \(1, 2\)"):
        max_pool1d(x, 2, 1, 2, 3)
