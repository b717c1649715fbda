"""Convolution by the course's names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad import kernels
from stackgrad.tensor import conv2d, grad_check, tensor


def by_loops(input, weight, reverse):
    """The definition, element by element."""
    batch, _, height, width = input.shape
    out = np.zeros((batch, weight.shape[0], height, width))
    for y, x, i, j in np.ndindex(height, width, *weight.shape[2:]):
        row, column = (y - i, x - j) if reverse else (y + i, x + j)
        if 0 <= row < height and 0 <= column < width:
            out[:, :, y, x] += input[:, :, row, column] @ weight[:, :, i, j].T
    return out


extents = st.integers(1, 5)


@given(
    extents,
    extents,
    extents,
    extents,
    extents,
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_tensor_conv2d(batch, c, o, height, width, kh, kw, reverse, turned, seed):
    rng = np.random.default_rng(seed)
    input, weight = rng.standard_normal((batch, c, height, width)), rng.standard_normal((o, c, kh, kw))
    out = np.full((batch, o, height, width), np.nan)
    if turned:  # strides of every kind
        input = np.asfortranarray(input)[:, :, ::-1, :]
        weight = np.repeat(weight, 2, axis=3)[..., ::2]
        out = np.full((width, height, o, batch), np.nan).T
    kernels.tensor_conv2d(out, input, weight, reverse)
    np.testing.assert_allclose(out, by_loops(input, weight, reverse), atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
def test_tensor_conv1d(reverse):
    rng = np.random.default_rng(0)
    input, weight, out = rng.standard_normal((2, 3, 7)), rng.standard_normal((4, 3, 3)), np.empty((2, 4, 7))
    kernels.tensor_conv1d(out, input, weight, reverse)
    expected = by_loops(input[:, :, None], weight[:, :, None], reverse)[:, :, 0]
    np.testing.assert_allclose(out, expected, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_differentiable(backend):
    rng = np.random.default_rng(1)
    x, w = (
        tensor(rng.standard_normal((2, 3, 4, 5)), backend=backend),
        tensor(rng.standard_normal((2, 3, 2, 3)), backend=backend),
    )
    out = kernels.conv2d(x, w)
    assert out.shape == (2, 2, 4, 5)
    np.testing.assert_allclose(out.numpy(), conv2d(x, w, padding=((0, 1), (0, 2))).numpy(), atol=1e-12)
    np.testing.assert_allclose(out.numpy(), by_loops(x.numpy(), w.numpy(), False), atol=1e-12)
    grad_check(kernels.conv2d, x, w)
    grad_check(kernels.conv1d, x[:, :, 0], w[:, :, 0])


def test_errors():
    a, w = np.zeros((1, 2, 5)), np.zeros((3, 2, 2))
    with pytest.raises(
        ValueError,
        match=r"tensor_conv1d: input of shape \(1, 2, 5\), weight \(3, 2, 2\) and out \(1, 2, 5\).*\(1, 3, 5\)",
    ):
        kernels.tensor_conv1d(np.zeros((1, 2, 5)), a, w, False)
    with pytest.raises(ValueError, match=r"weight of shape \(3, 2\): expected a NumPy array of 3 dimensions"):
        kernels.tensor_conv1d(np.zeros((1, 3, 5)), a, w[:, :, 0], False)
    with pytest.raises(TypeError, match="weight of float32 with input of float64"):
        kernels.tensor_conv1d(np.zeros((1, 3, 5)), a, w.astype(np.float32), False)
    with pytest.raises(ValueError, match=r"conv1d: input of shape \(1, 2\)"):
        kernels.conv1d(tensor(np.zeros((1, 2))), tensor(w))
    with pytest.raises(ValueError, match=r"conv2d: weight of shape \(3, 2, 2\): expected"):
        kernels.conv2d(tensor(np.zeros((1, 2, 3, 3))), tensor(w))
