"""Transposed convolution."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackgrad.tensor import (
    Generator,
    arange,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    grad,
    grad_check,
    ones,
    randn,
    tensor,
)


@settings(max_examples=50)
@given(st.data())
def test_transposed_convolution_is_the_adjoint(data):
    """The sum of conv(y) * x equals the sum of y * conv_transpose(x), for any y of the result's size."""
    kernel, stride = data.draw(st.tuples(*[st.integers(1, 3)] * 2)), data.draw(st.tuples(*[st.integers(1, 3)] * 2))
    dilation = data.draw(st.tuples(*[st.integers(1, 2)] * 2))
    more = tuple(data.draw(st.integers(0, s - 1)) for s in stride)
    padding = tuple((data.draw(st.integers(0, d * (k - 1))), 0) for k, d in zip(kernel, dilation, strict=True))
    groups = data.draw(st.integers(1, 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, w = rng.standard_normal((2, 2 * groups, 3, 4)), rng.standard_normal((2 * groups, 3, *kernel))
    bias = rng.standard_normal(3 * groups)
    tensors = [tensor(a, requires_grad=True) for a in (x, w, bias)]
    options = {"stride": stride, "padding": padding, "groups": groups, "dilation": dilation}
    out = conv_transpose2d(*tensors, output_padding=more, **options)
    y = rng.standard_normal(out.shape)
    forward = conv2d(tensor(y), tensor(w), None, stride, padding, dilation, groups)
    plain = out.detach().numpy() - bias[:, None, None]
    np.testing.assert_allclose((y * plain).sum(), (forward.numpy() * x).sum(), rtol=1e-9, atol=1e-9)


def test_transposed_convolution_equals_pytorch():
    x, w = tensor([[[[0.0, 1.0], [4.0, 5.0]]]]), arange(8, dtype="float32").reshape(1, 2, 2, 2) - 3
    bias = tensor([0.5, -1.0])
    found = conv_transpose2d(x, w, bias, stride=2, padding=1, output_padding=1, dilation=(1, 2))
    assert found.tolist() == [
        [
            [[0.5, -0.5, 0.5, 0.5], [0.5, -22.5, 0.5, -9.5], [0.5, -4.5, 0.5, 0.5]],
            [[-1.0, 2.0, -1.0, 3.0], [-1.0, 12.0, -1.0, 9.0], [-1.0, 30.0, -1.0, 19.0]],
        ]
    ]


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        (((2, 2, 3, 2), (2, 3, 2, 3), (3,)), {"stride": (2, 1), "padding": 1, "output_padding": (1, 0)}),
        (((1, 4, 2, 2), (4, 1, 2, 2), (2,)), {"groups": 2, "dilation": 2, "output_padding": 1}),
    ],
)
def test_gradients_of_transposed_convolution(sizes, options):
    rng = np.random.default_rng(0)
    operands = [tensor(rng.standard_normal(size), requires_grad=True) for size in sizes]
    grad_check(lambda *o: conv_transpose2d(*o, **options), *operands)

    def slope(x, w):
        out = conv_transpose2d(x, w, **options)
        first, second = grad((out * out).sum(), [x, w], create_graph=True)
        return first.sum() + (second * second).sum()

    grad_check(slope, *operands[:2])


def test_conv_transpose1d_equals_conv_transpose2d_of_height_1():
    x, w, bias = (randn(*shape, generator=Generator(0)) for shape in ((2, 4, 5), (4, 3, 3), (6,)))
    found = conv_transpose1d(x, w, bias, 2, 1, 1, 2, 2)
    flat = conv_transpose2d(x.unsqueeze(2), w.unsqueeze(2), bias, (1, 2), (0, 1), (0, 1), 2, (1, 2))
    assert found.tolist() == flat.squeeze(2).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, w: conv_transpose2d(x, w, output_padding=1),
            "output_padding 1: expected less than stride (1, 1) or dilation",
        ),
        (lambda x, w: conv_transpose2d(x, w, padding=4), "gives an image of -2x-2: nothing is left"),
        (lambda x, w: conv_transpose2d(x, w[:1]), "expected as many input channels, which groups divides"),
        (lambda x, w: conv_transpose2d(x, w, groups=3), "groups 3: expected as many input channels"),
        (lambda x, w: conv_transpose2d(x, w, ones(2)), "bias of shape (2,): expected (3,), one for each output"),
        (
            lambda x, w: conv_transpose2d(x[0], w),
            "input of shape (2, 4, 4): expected (batch, channels, height, width)",
        ),
        (lambda x, w: conv_transpose1d(x, w), "input of shape (1, 2, 4, 4): expected (batch, channels, width)"),
        (lambda x, w: conv_transpose1d(x[:, :, 0], w[:, :, 0], stride=0), "stride must be an int or 1 of them"),
        (
            lambda x, w: conv_transpose2d(x, w, output_padding=-1),
            "output_padding must be an int or 2 of them (one per dimension), at least 0; got -1",
        ),
    ],
)
def test_errors_of_transposed_convolution(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(ones(1, 2, 4, 4), ones(2, 3, 3, 3))
