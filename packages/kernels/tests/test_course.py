"""Convolution under the names of the course."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.kernels import course
from stackgrad.tensor import Window, conv2d, grad, grad_check, tensor
from stackgrad.tensor.testing import loops


def by_definition(input, weight, reverse, size=None):
    """out[b, o, y, x] = sum of input[b, c, y + i, x + j] * weight[o, c, i, j]; with `reverse` y - i and x - j."""
    height, width = input.shape[2:]
    size = size or (height, width)
    out = np.zeros((input.shape[0], weight.shape[0], *size))
    for y, x, i, j in np.ndindex(*size, *weight.shape[2:]):
        row, column = (y - i, x - j) if reverse else (y + i, x + j)
        if 0 <= row < height and 0 <= column < width:
            out[:, :, y, x] += input[:, :, row, column] @ weight[:, :, i, j].T
    return out


LAYOUTS = {
    "in C order": np.ascontiguousarray,
    "in Fortran's": np.asfortranarray,
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
    "with steps": lambda a: np.repeat(a, 3, axis=-1)[..., 1::3],
    "channels last": lambda a: (
        np.ascontiguousarray(np.moveaxis(a, 1, -1)).swapaxes(-1, 1)
        if a.ndim == 3
        else (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    ),
}
layouts = st.sampled_from(sorted(LAYOUTS))
extents = st.integers(1, 5)


@given(
    st.tuples(extents, extents, extents, extents, extents),
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.booleans(),
    st.none() | st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.tuples(layouts, layouts, layouts),
    st.sampled_from(["float32", "float64"]),
    st.integers(0, 99),
)
def test_tensor_conv2d(shape, kernel, reverse, size, layout, dtype, seed):
    batch, c, o, height, width = shape
    rng = np.random.default_rng(seed)
    input = rng.integers(-3, 4, (batch, c, height, width)).astype(dtype)
    weight = rng.integers(-3, 4, (o, c, *kernel)).astype(dtype)
    expected = by_definition(input, weight, reverse, size)
    out = LAYOUTS[layout[0]](np.full(expected.shape, np.nan, dtype))
    course.tensor_conv2d(out, LAYOUTS[layout[1]](input), LAYOUTS[layout[2]](weight), reverse)
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("kernel", [1, 3, 7, 9])
def test_tensor_conv1d(kernel, layout, reverse):
    rng = np.random.default_rng(0)
    input, weight = rng.integers(-3, 4, (2, 3, 7)).astype(float), rng.integers(-3, 4, (4, 3, kernel)).astype(float)
    out = LAYOUTS[layout](np.full((2, 4, 7), np.nan))
    course.tensor_conv1d(out, LAYOUTS[layout](input), LAYOUTS[layout](weight), reverse)
    assert np.array_equal(out, by_definition(input[:, :, None], weight[:, :, None], reverse)[:, :, 0])


def test_memory_is_read_before_it_is_overwritten():
    array = np.arange(8.0).reshape(1, 1, 8)
    course.tensor_conv1d(array, array, np.ones((1, 1, 3)), False)
    assert array.tolist() == [[[3, 6, 9, 12, 15, 18, 13, 7]]]


def test_repeated_and_misaligned_memory():
    ones = np.broadcast_to(1.0, (2, 3, 5))
    weight = np.zeros(4 * 3 * 2 * 8 + 1, np.uint8)[1:].view(float).reshape(4, 3, 2)
    weight[...] = 2
    out = np.empty((2, 4, 5))
    course.tensor_conv1d(out, ones, weight, False)
    assert out.tolist() == [[[12, 12, 12, 12, 6]] * 4] * 2


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("reverse", [False, True])
def test_tensors(backend, reverse):
    rng = np.random.default_rng(0)
    x, w = rng.integers(-3, 4, (2, 3, 4, 5)).astype(float), rng.integers(-3, 4, (2, 3, 2, 3)).astype(float)
    x_tensor, w_tensor = (tensor(a, backend=backend, requires_grad=True) for a in (x, w))
    out = tensor(np.empty((2, 2, 4, 5)), backend=backend)
    course.tensor_conv2d(out, x_tensor, w_tensor, reverse)
    assert np.array_equal(out.numpy(), by_definition(x, w, reverse))
    assert not out.requires_grad
    course.tensor_conv1d(out[:, :, 1], x_tensor[:, :, 0], w_tensor[:, :, 0], reverse)
    assert np.array_equal(out[:, :, 1].numpy(), by_definition(x[:, :, :1], w[:, :, :1], reverse)[:, :, 0])


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(("kernel", "size"), [((2, 3), (4, 5)), ((4, 1), (4, 5)), ((6, 7), (4, 5)), ((3, 3), (1, 9))])
def test_the_backward_of_the_course(backend, kernel, size):
    """It writes the weight's gradient to an `out` of the weight's size, with gradients as large as the input."""
    rng = np.random.default_rng(0)
    x = tensor(rng.standard_normal((2, 3, *size)), backend=backend, requires_grad=True)
    weight = tensor(rng.standard_normal((4, 3, *kernel)), backend=backend, requires_grad=True)
    g = tensor(rng.standard_normal((2, 4, *size)), backend=backend)
    course.conv2d(x, weight).backward(g)
    grad_weight = tensor(np.full((3, 4, *kernel), np.nan), backend=backend)
    course.tensor_conv2d(grad_weight, x.detach().permute(1, 0, 2, 3), g.permute(1, 0, 2, 3), False)
    np.testing.assert_allclose(grad_weight.numpy().swapaxes(0, 1), weight.grad.numpy(), rtol=1e-12, atol=1e-12)
    grad_input = tensor(np.full(x.shape, np.nan), backend=backend)
    course.tensor_conv2d(grad_input, g, weight.detach().permute(1, 0, 2, 3), True)
    np.testing.assert_allclose(grad_input.numpy(), x.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("width", [1, 3, 7, 12])
def test_tensor_conv1d_into_any_width(width, reverse):
    rng = np.random.default_rng(0)
    input, weight = rng.integers(-3, 4, (2, 3, 7)).astype(float), rng.integers(-3, 4, (4, 3, 4)).astype(float)
    out = np.full((2, 4, width), np.nan)
    course.tensor_conv1d(out, input, weight, reverse)
    assert np.array_equal(out, by_definition(input[:, :, None], weight[:, :, None], reverse, (1, width))[:, :, 0])


def test_tensors_with_arrays():
    out, x, w = np.zeros((1, 1, 2)), np.zeros((1, 1, 2)), np.zeros((1, 1, 1))
    with pytest.raises(ValueError, match="weight of type Tensor: expected a NumPy array of 3 dimensions"):
        course.tensor_conv1d(out, x, tensor(w), False)
    with pytest.raises(ValueError, match="input of type ndarray: expected a tensor of 3 dimensions"):
        course.tensor_conv1d(tensor(out), x, w, False)


# --- the differentiable functions


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (4, 5), (5, 7)])
def test_conv2d_is_the_padded_convolution(backend, kernel):
    rng = np.random.default_rng(1)
    x = tensor(rng.standard_normal((2, 3, 4, 5)), backend=backend, requires_grad=True)
    w = tensor(rng.standard_normal((2, 3, *kernel)), backend=backend, requires_grad=True)
    out = course.conv2d(x, w)
    assert out.shape == (2, 2, 4, 5)
    assert out.backend is x.backend
    padding = ((0, kernel[0] - 1), (0, kernel[1] - 1))
    padded = conv2d(x, w, padding=padding)
    assert np.array_equal(out.detach().numpy(), padded.detach().numpy())
    for found, expected in zip(grad((out * out).sum(), (x, w)), grad((padded * padded).sum(), (x, w)), strict=True):
        assert np.array_equal(found.numpy(), expected.numpy())
    window = Window(kernel, padding=padding)
    exact = loops.conv2d(x.detach().numpy(), w.detach().numpy(), None, window, 1)
    np.testing.assert_allclose(out.detach().numpy(), exact, atol=1e-12)


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_gradients(backend):
    rng = np.random.default_rng(1)
    x, w = (tensor(rng.standard_normal(s), backend=backend) for s in ((2, 2, 3, 4), (2, 2, 2, 3)))
    grad_check(course.conv2d, x, w)
    grad_check(course.conv1d, x[:, :, 0], w[:, :, 0])


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_conv1d(backend):
    rng = np.random.default_rng(2)
    x, w = rng.integers(-3, 4, (2, 3, 6)), rng.integers(-3, 4, (4, 3, 2))
    for dtype in ("float32", "float64"):
        out = course.conv1d(tensor(x.astype(dtype), backend=backend), tensor(w.astype(dtype), backend=backend))
        assert out.dtype == dtype
        assert np.array_equal(out.numpy(), by_definition(x[:, :, None], w[:, :, None], False)[:, :, 0])


# --- errors

A1, W1, O1 = np.zeros((1, 2, 5)), np.zeros((3, 2, 2)), np.zeros((1, 3, 5))


@pytest.mark.parametrize(
    ("out", "input", "weight", "error", "text"),
    [
        (A1, A1, W1, ValueError, "input of shape (1, 2, 5), weight (3, 2, 2) and out (1, 2, 5): expected as many"),
        (O1, A1, W1[:, :1], ValueError, "weight (3, 1, 2) and out (1, 3, 5): expected as many channels in input"),
        (O1[:, :2], A1, W1, ValueError, "and out of shape (1, 3, ...)"),
        (O1, A1, W1[:, :, 0], ValueError, "weight of shape (3, 2): expected a NumPy array of 3 dimensions, none of"),
        (
            O1,
            A1,
            W1[:, :, :0],
            ValueError,
            "weight of shape (3, 2, 0): expected a NumPy array of 3 dimensions, none of",
        ),
        (O1, A1.tolist(), W1, ValueError, "input of type list: expected a NumPy array of 3 dimensions"),
        (
            O1,
            A1,
            W1.astype("f"),
            TypeError,
            "weight of float32 with input of float64: expected float32 or float64 for all",
        ),
        (O1.astype("f"), A1, W1, TypeError, "out of float32 with input of float64"),
        (O1.astype(int), A1.astype(int), W1.astype(int), TypeError, "input of int64 with input of int64"),
        (O1.astype(">f8"), A1.astype(">f8"), W1.astype(">f8"), TypeError, "input of >f8 with input of >f8"),
    ],
)
def test_errors_of_the_kernels(out, input, weight, error, text):
    with pytest.raises(error, match=re.escape(text)) as found:
        course.tensor_conv1d(out, input, weight, False)
    assert str(found.value).startswith("tensor_conv1d: ")
    four = [a[:, :, None] if isinstance(a, np.ndarray) else a for a in (out, input, weight)]
    with pytest.raises(error, match=r"^tensor_conv2d: "):
        course.tensor_conv2d(*four, True)


def test_read_only_output():
    out = O1.copy()
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        course.tensor_conv1d(out, A1, W1, False)


@pytest.mark.parametrize(
    ("function", "input", "weight", "error", "text"),
    [
        (course.conv1d, A1[0], W1, ValueError, "conv1d: input of shape (2, 5): expected (batch, channels, width)"),
        (course.conv2d, A1[:, :, None], W1, ValueError, "conv2d: weight of shape (3, 2, 2): expected (out_channels,"),
        (course.conv2d, A1, W1[:, :, None], ValueError, "conv2d: input of shape (1, 2, 5): expected (batch, channels"),
        (course.conv1d, A1, W1[:, :1], ValueError, "has 2 channels, weight of shape (3, 1, 2)"),
        (course.conv1d, A1, W1.astype("f"), TypeError, "input has dtype float64 and weight float32"),
        (course.conv1d, A1.astype(int), W1.astype(int), TypeError, "conv1d: input of dtype int64"),
    ],
)
def test_errors_of_the_functions(function, input, weight, error, text):
    with pytest.raises(error, match=re.escape(text)):
        function(tensor(input), tensor(weight))
