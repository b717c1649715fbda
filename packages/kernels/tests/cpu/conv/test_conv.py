"""Convolution at the edges of its tiles, with small integers, whose sums are exact."""

import numpy as np
import pytest

from stackgrad.kernels.cpu.conv import _chunks, _forward
from stackgrad.kernels.cpu.conv._forward import conv2d
from stackgrad.kernels.cpu.conv._input_grad import conv2d_input_grad
from stackgrad.kernels.cpu.conv._weight_grad import conv2d_weight_grad
from stackgrad.tensor import NumpyBackend, Window
from stackgrad.tensor.testing import loops

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
NUMPY = NumpyBackend()


def integers(*shape, dtype="float32"):
    return RNG.integers(-3, 4, shape).astype(dtype)


def check(x_shape, w_shape, window=None, groups=1, dtype="float32", bias=True, reference=NUMPY):
    """The convolution and both gradients are bitwise equal to `reference`."""
    window = window or Window(w_shape[2:])
    x, w, b = integers(*x_shape, dtype=dtype), integers(*w_shape, dtype=dtype), integers(w_shape[0], dtype=dtype)
    b = b if bias else None
    out = conv2d(x, w, b, window, groups, False)[0]
    assert out.dtype == dtype
    exact = (
        loops.conv2d(x, w, b, window, groups) if reference is loops else NUMPY.conv2d(x, w, b, window, groups, False)[0]
    )
    assert np.array_equal(out, exact)
    g = integers(*out.shape, dtype=dtype)
    size = x_shape[2:]
    x_grad = conv2d_input_grad(g, w, size, window, groups)
    w_grad = conv2d_weight_grad(x, g, window, groups)
    if reference is loops:
        x_exact, w_exact, _ = loops.conv2d_grads(g, x, w, window, groups)
    else:
        x_exact = NUMPY.conv2d_input_grad(g, w, size, window, groups)
        w_exact = NUMPY.conv2d_weight_grad(x, g, window, groups)
    assert np.array_equal(x_grad, x_exact)
    assert np.array_equal(w_grad, w_exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("out_channels", [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33])
def test_output_channels_at_vector_edges(dtype, out_channels):
    check((2, 3, 6, 9), (out_channels, 3, 3, 2), dtype=dtype)


@pytest.mark.parametrize("out_channels", [6, 12])
@pytest.mark.parametrize("width", [1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 28, 29])
def test_rows_at_tile_edges(width, out_channels):
    check((1, 2, 3, width), (out_channels, 2, 2, 1))
    check((1, 2, 3, width + 2), (out_channels, 2, 1, 3))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [4, 9, 12, 28])
@pytest.mark.parametrize("out_channels", [1, 2, 3, 4, 6])
def test_adjacent_pixels_that_share_a_vector(out_channels, width, dtype):
    for channels, kernel, stride in ((1, 3, 1), (1, 5, 2), (4, 2, 1), (2, 1, 3)):
        window = Window((2, kernel), (1, stride), ((1, 0), (1, kernel - 2 if kernel > 1 else 0)))
        size = (width - 1) * stride + kernel - sum(window.padding[1])
        check((2, channels, 4, max(1, size)), (out_channels, channels, 2, kernel), window, dtype=dtype)


@pytest.mark.parametrize("channels", [1, 2, 5, 6, 7, 13])
def test_runs_at_tile_edges(channels):
    for kernel in ((1, 1), (2, 1), (1, 3), (5, 5)):
        check((2, channels, 6, 7), (4, channels, *kernel))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("channels", [(15, 17), (16, 8), (16, 9), (17, 16), (22, 33), (40, 12)])
def test_many_channels(channels, dtype):
    c, o = channels
    check((3, c, 9, 11), (o, c, 3, 3), Window((3, 3), padding=((1, 1), (1, 1))), dtype=dtype)
    check((2, c, 9, 11), (o, c, 2, 3), Window((2, 3), (2, 1), ((0, 3), (4, 0)), (1, 2)), dtype=dtype)
    check((2, c, 1, 30), (o, c, 1, 3), dtype=dtype)
    check((1, c, 40, 30), (o, c, 1, 1), dtype=dtype)


@pytest.mark.parametrize("channels", [1, 16])
def test_padding_wider_than_the_image_and_the_kernel(channels):
    check((1, channels, 2, 3), (9, channels, 2, 3), Window((2, 3), padding=((5, 1), (4, 6))))


@pytest.mark.parametrize("part", [1, 5, 7, 30])
def test_weights_added_in_parts(monkeypatch, part):
    monkeypatch.setattr(_forward, "WEIGHTS_AT_ONCE", part)
    for o in (3, 17, 32):
        check((2, 5, 9, 11), (o, 5, 3, 3), Window((3, 3), padding=((1, 0), (2, 1))))
    check((2, 6, 9, 11), (20, 3, 3, 3), Window((3, 3), dilation=(1, 2)), groups=2)
    x, w = integers(2, 5, 9, 11), integers(20, 5, 2, 2)
    expected = np.maximum(NUMPY.conv2d(x, w, None, Window((2, 2)), 1, False)[0], 0)
    assert np.array_equal(conv2d(x, w, None, Window((2, 2)), 1, True)[0], expected)


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("images", [1, 15, 16, 17, 31, 32, 33, 70])
def test_chunk_edges(run_serially, serial, images):
    run_serially(serial)
    check((images, 2, 2, 5), (3, 2, 2, 2))


@pytest.mark.parametrize("seed", range(25))
def test_any_window_against_plain_loops(seed):
    rng = np.random.default_rng(seed)
    draw = lambda low, high: tuple(int(v) for v in rng.integers(low, high + 1, 2))  # noqa: E731
    groups, c, o = (int(v) for v in rng.integers(1, (4, 4, 10)))
    window = Window(draw(1, 3), draw(1, 3), (draw(0, 3), draw(0, 3)), draw(1, 3))
    height, width = (
        int(max(span - sum(sides), 1) + rng.integers(0, 7))
        for span, sides in zip(window.span, window.padding, strict=True)
    )
    dtype = rng.choice(["float32", "float64"])
    shape = (int(rng.integers(1, 4)), groups * c, height, width)
    check(shape, (groups * o, c, *window.kernel), window, groups, str(dtype), bool(rng.integers(2)), loops)


@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 2), (3, 0))])
@pytest.mark.parametrize(
    ("x", "w"),
    [
        ((0, 3, 5, 5), (4, 3, 2, 2)),
        ((2, 0, 5, 5), (4, 0, 2, 2)),
        ((2, 3, 5, 5), (0, 3, 2, 2)),
        ((0, 0, 5, 5), (0, 0, 2, 2)),
    ],
)
def test_empty_operands(x, w, padding):
    check(x, w, Window((2, 2), (1, 2), padding))


def test_no_images_under_a_window_of_one_pixel():
    check((0, 3, 5, 5), (4, 3, 1, 1), Window((1, 1)))


def test_an_image_that_is_all_padding():
    window = Window((2, 2), (1, 1), ((1, 1), (1, 1)))
    check((2, 3, 0, 4), (5, 3, 2, 2), window)
    check((2, 16, 0, 4), (5, 16, 2, 2), window)


def test_groups_without_channels():
    check((2, 0, 4, 4), (6, 0, 2, 2), groups=3)
    check((2, 6, 4, 4), (0, 2, 2, 2), groups=3)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 3, 1, 2), (3, 2, 1, 0), (1, 0, 3, 2)])
def test_operands_of_any_layout(order):
    window = Window((2, 3), padding=((1, 0), (0, 2)))

    def arranged(array):
        back = [order.index(i) for i in range(4)]
        return np.ascontiguousarray(array.transpose(order)).transpose(back)

    x, w, bias = integers(3, 4, 7, 8), integers(9, 4, 2, 3), integers(9)
    expected = NUMPY.conv2d(x, w, bias, window, 1, False)[0]
    g = integers(*expected.shape)
    steps = np.repeat(np.repeat(x, 2, 2), 3, 3)[:, :, ::2, ::3]
    for given in (arranged(x), steps, x[:, :, ::-1][:, :, ::-1]):
        assert np.array_equal(conv2d(given, arranged(w), np.repeat(bias, 2)[::2], window, 1, False)[0], expected)
        assert np.array_equal(
            conv2d_weight_grad(given, arranged(g), window, 1), NUMPY.conv2d_weight_grad(x, g, window, 1)
        )
    assert np.array_equal(
        conv2d_input_grad(arranged(g), arranged(w), (7, 8), window, 1),
        NUMPY.conv2d_input_grad(g, w, (7, 8), window, 1),
    )
    ones = np.broadcast_to(np.float32(1), expected.shape)
    assert np.array_equal(
        conv2d_input_grad(ones, w, (7, 8), window, 1),
        NUMPY.conv2d_input_grad(ones, w, (7, 8), window, 1),
    )


def test_the_result_is_channels_last():
    out = conv2d(integers(2, 3, 5, 6), integers(4, 3, 2, 2), None, Window((2, 2)), 1, False)[0]
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous


def test_nan_affects_only_the_windows_that_contain_it():
    x, w = np.ones((2, 2, 6, 20), np.float32), np.ones((9, 2, 2, 2), np.float32)
    x[0, 1, 5, 19] = np.nan
    out = conv2d(x, w, None, Window((2, 2)), 1, False)[0]
    expected = np.full(out.shape, 8.0)
    expected[0, :, 4, 18] = np.nan
    assert np.array_equal(out, expected, equal_nan=True)


def test_a_weight_too_large_for_many_summands(monkeypatch):
    monkeypatch.setattr(_chunks, "LARGEST_SUMMAND", 100)
    check((5, 3, 6, 7), (6, 3, 3, 3))
    check((5, 16, 6, 7), (10, 16, 3, 3))
