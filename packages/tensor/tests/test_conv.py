"""Convolution beyond the cases of stackgrad.tensor.testing: sequences, forms of padding, and errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackgrad.tensor import conv1d, conv2d, grad_check, ones, tensor, zeros
from stackgrad.tensor.testing import WINDOW_CASES


@pytest.mark.parametrize("case", [case for case in WINDOW_CASES if case.name == "conv2d"], ids=str)
def test_on_numpy(case):
    case.run("numpy", max_examples=100 if case.kind == "values" else None)


def test_a_worked_example():
    x = tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    weight = tensor([[[[1.0, 0.0], [0.0, -1.0]]]])
    assert conv2d(x, weight).tolist() == [[[[-4.0, -4.0], [-4.0, -4.0]]]]
    assert conv2d(x, weight, tensor([0.5]), stride=(2, 2)).tolist() == [[[[-3.5]]]]
    assert conv2d(x, weight, dilation=(2, 2)).tolist() == [[[[-8.0]]]]
    assert conv2d(x, weight, padding=((1, 0), (0, 1)))[0, 0, 0].tolist() == [-2.0, -3.0, 0.0]


def test_groups_see_their_own_channels():
    x = zeros(1, 4, 1, 1)
    x[0, :, 0, 0] = [1.0, 2.0, 3.0, 4.0]
    out = conv2d(x, ones(2, 2, 1, 1), groups=2)
    assert out.tolist() == [[[[3.0]], [[7.0]]]]


@pytest.mark.parametrize(
    ("x", "weight", "shape"),
    [
        ((0, 1, 4, 4), (2, 1, 3, 3), (0, 2, 2, 2)),
        ((1, 0, 4, 4), (2, 0, 3, 3), (1, 2, 2, 2)),
        ((1, 1, 4, 4), (0, 1, 3, 3), (1, 0, 2, 2)),
    ],
)
def test_empty_convolutions(x, weight, shape):
    x, weight = zeros(x, requires_grad=True), zeros(weight, requires_grad=True)
    out = conv2d(x, weight, ones(weight.shape[0]))
    assert out.shape == shape
    out.sum().backward()
    assert (x.grad.shape, weight.grad.shape) == (x.shape, weight.shape)
    np.testing.assert_array_equal(out.detach().numpy(), np.ones(shape))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"input": zeros(1, 2, 3)},
            ValueError,
            r"input of shape \(1, 2, 3\): expected \(batch, channels, height, width\)",
        ),
        ({"input": zeros(1, 2, 5, 5, dtype="int64")}, TypeError, "input of dtype int64: expected float32 or float64"),
        (
            {"input": zeros(1, 2, 5, 5, dtype="float64")},
            TypeError,
            "input has dtype float64 and weight float32: expected the same",
        ),
        ({"bias": zeros(4, dtype="float64")}, TypeError, "input has dtype float32 and bias float64"),
        (
            {"weight": zeros(4, 2, 3)},
            ValueError,
            r"weight of shape \(4, 2, 3\): expected \(out, in / groups, kernel height, kernel",
        ),
        (
            {"weight": zeros(4, 3, 3, 3)},
            ValueError,
            r"has 2 channels, weight of shape \(4, 3, 3, 3\) with groups 1 expects 3",
        ),
        ({"groups": 3}, ValueError, "groups 3 does not divide 2 input and 4 output channels"),
        ({"groups": 0}, ValueError, "groups 0 does not divide"),
        ({"bias": zeros(3)}, ValueError, r"bias of shape \(3,\): expected \(4,\), one for each output"),
        (
            {"weight": zeros(4, 2, 6, 3)},
            ValueError,
            r"kernel \(6, 3\) with dilation \(1, 1\) spans 6x3, more than the image of 5x5",
        ),
        ({"dilation": (1, 3)}, ValueError, r"with dilation \(1, 3\) spans 3x7, more than the image of 5x5"),
        ({"groups": 1.0}, ValueError, "groups 1.0 does not divide"),
        ({"stride": (0, 1)}, ValueError, r"stride must be an int or 2 of them .*, at least 1; got \(0, 1\)"),
        ({"dilation": 1.5}, ValueError, r"dilation must be an int or 2 of them .*, at least 1; got 1.5"),
        ({"padding": ((0, -1), (0, 0))}, ValueError, r"padding must be .*, none negative; got \(\(0, -1\), \(0, 0\)\)"),
        ({"activation": "tanh"}, ValueError, "activation must be \"relu\" or None; got 'tanh'"),
    ],
)
def test_invalid_arguments_are_named(arguments, error, message):
    given = {"input": zeros(1, 2, 5, 5), "weight": zeros(4, 2, 3, 3), **arguments}
    given = {name: value.to("numpy") if hasattr(value, "to") else value for name, value in given.items()}
    with pytest.raises(error, match=message):
        conv2d(**given)


@settings(max_examples=40)
@given(st.data())
def test_conv1d_is_conv2d_of_images_of_height_1(data):
    kernel, stride, dilation, groups = (data.draw(st.integers(1, most)) for most in (3, 3, 2, 2))
    sides = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    rng = np.random.default_rng(0)
    shapes = (2, 2 * groups, 6), (3 * groups, 2, kernel), (3 * groups,)
    leaves = [tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]

    def sequence(x, weight, bias):
        return conv1d(x, weight, bias, stride, (sides,), [dilation], groups)

    x, weight, bias = leaves
    geometry = (1, stride), ((0, 0), sides), (1, dilation)
    image = conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, *geometry, groups)
    assert sequence(*leaves).tolist() == image.squeeze(2).tolist()
    grad_check(sequence, *leaves)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6))
def test_same_keeps_the_size(rows, columns, dilation, height, width):
    out = conv2d(ones(1, 1, height, width), ones(1, 1, rows, columns), padding="same", dilation=dilation)
    assert out.shape == (1, 1, height, width)


def test_same_puts_the_odd_zero_at_the_end():
    x, weight = tensor([[[1.0, 2.0, 3.0]]]), tensor([[[1.0, 10.0]]])
    assert conv1d(x, weight, padding="same").tolist() == [[[21.0, 32.0, 3.0]]]


@pytest.mark.parametrize(
    ("x", "weight", "message"),
    [
        ((1, 1, 3, 3), (1, 1, 2), "input of shape (1, 1, 3, 3): expected (batch, channels, width)"),
        ((1, 1, 3), (1, 1, 2, 2), "weight of shape (1, 1, 2, 2): expected (out, in / groups, kernel width)"),
    ],
)
def test_conv1d_names_wrong_dimensions(x, weight, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        conv1d(ones(x), ones(weight))


def test_each_call_reads_what_it_is_given():
    """Plans are kept by the arguments: equal values of other types, and lists that change, are other arguments."""
    x, weight = ones(1, 1, 5, 5), ones(1, 1, 3, 3)
    sides = [1, 1]
    assert conv2d(x, weight, None, 1, sides).shape == (1, 1, 5, 5)
    sides[0] = 0
    assert conv2d(x, weight, None, 1, sides).shape == (1, 1, 3, 5)
    assert conv2d(x, weight, None, np.int64(1), 1).shape == (1, 1, 5, 5)
    for wrong in (True, 1.0, "1", range(1, 3)):
        with pytest.raises(ValueError, match="stride must be an int or 2 of them"):
            conv2d(x, weight, None, wrong, 1)
