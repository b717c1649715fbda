"""Pooling: taps, ties and NaN, for images of any layout."""

import math

import numpy as np
import pytest

from stackgrad.kernels.cpu import _max_pool, _pool
from stackgrad.tensor import Window
from stackgrad.tensor.testing import loops

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)


def window_of(rng):
    kernel = tuple(int(v) for v in rng.integers(1, 5, 2))
    padding = tuple(tuple(int(v) for v in rng.integers(0, k // 2 + 1, 2)) for k in kernel)
    return Window(kernel, tuple(int(v) for v in rng.integers(1, 4, 2)), padding)


def shaped(taps, out):
    """Taps in the shape of the pool's result, whose memory order they have."""
    n, c, rows, columns = out.shape
    return taps[: out.size].reshape(n, rows, columns, c).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(12))
def test_any_window_against_plain_loops(seed, dtype):
    rng = np.random.default_rng(seed)
    window = window_of(rng)
    n, c, h, w = (int(v) for v in rng.integers((1, 1, 4, 4), (4, 5, 10, 10)))
    x = rng.choice(np.array([-1, 0, 0, 1, 2, np.nan, -np.inf], dtype), (n, c, h, w))
    for image in (x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2), x[:, :, ::-1]):
        expected, expected_taps = loops.max_pool2d(image, window)
        out, taps = _max_pool.max_pool2d(image, window)
        assert np.array_equal(out, expected, equal_nan=True)
        assert np.array_equal(shaped(taps, expected), np.where(expected <= 0, ~expected_taps, expected_taps))
        assert taps.dtype == np.int8
        assert np.array_equal(_max_pool.max_pool2d_take(image, taps, window), expected, equal_nan=True)
        g = rng.integers(-3, 4, out.shape).astype(dtype)
        assert np.array_equal(
            _max_pool.max_pool2d_grad(g, taps, (h, w), window), loops.max_pool2d_grad(g, image, window)
        )
    count = window.kernel[0] * window.kernel[1]
    x = count * rng.integers(-3, 4, x.shape).astype(dtype)
    assert np.allclose(_pool.avg_pool2d(x, window), loops.avg_pool2d(x, window), rtol=1e-6)
    g = count * rng.integers(-3, 4, expected.shape).astype(dtype)
    assert np.array_equal(_pool.avg_pool2d_grad(g, (h, w), window), loops.avg_pool2d_grad(g, (h, w), window))


@pytest.mark.parametrize("serial", [True, False])
def test_many_images(run_serially, serial):
    run_serially(serial)
    x = RNG.standard_normal((33, 3, 6, 8)).astype("float32")
    blocks = x.reshape(33, 3, 3, 2, 4, 2)
    out, taps = _max_pool.max_pool2d(x, Window((2, 2), (2, 2)))
    assert np.array_equal(out, blocks.max((3, 5)))
    grad = _max_pool.max_pool2d_grad(out, taps, (6, 8), Window((2, 2), (2, 2)))
    assert np.array_equal(grad, np.where(x == np.kron(out, np.ones((2, 2))), x, 0))
    out = _pool.avg_pool2d(x, Window((2, 2), (2, 2)))
    assert np.allclose(out, blocks.mean((3, 5)), atol=1e-6)
    assert np.allclose(_pool.avg_pool2d_grad(out, (6, 8), Window((2, 2), (2, 2))), np.kron(out / 4, np.ones((2, 2))))


def test_minus_infinity_wins_over_padding():
    x = np.full((1, 2, 3, 3), -np.inf, np.float32)
    window = Window((2, 2), (1, 1), ((1, 1), (1, 1)))
    out, taps = _max_pool.max_pool2d(x, window)
    assert (out == -np.inf).all()
    taps = ~shaped(taps, out)
    assert np.array_equal(taps, loops.max_pool2d(x, window)[1])
    assert taps[0, 0].tolist() == [[3, 2, 2, 2], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]


@pytest.mark.parametrize("kernel", [(8, 16), (3, 43), (12, 11)])
@pytest.mark.parametrize("sign", [1, -1])
def test_windows_of_more_taps_than_a_byte_holds(kernel, sign):
    x = sign * (1 + np.arange(2 * math.prod(kernel) * 4, dtype=np.float32)).reshape(2, 1, kernel[0] * 2, kernel[1] * 2)
    x, window = np.concatenate([x, x[:, :, ::-1, ::-1]], 1), Window(kernel, kernel)
    out, taps = _max_pool.max_pool2d(x, window)
    assert taps.dtype == (np.int8 if math.prod(kernel) <= 128 else np.int32)
    expected, expected_taps = loops.max_pool2d(x, window)
    assert np.array_equal(out, expected)
    assert np.array_equal(shaped(taps, out), expected_taps if sign > 0 else ~expected_taps)
    assert np.array_equal(_max_pool.max_pool2d_take(x, taps, window), expected)
    found = _max_pool.max_pool2d_grad(out, taps, x.shape[2:], window)
    assert np.array_equal(found, loops.max_pool2d_grad(out, x, window))
    masked, _ = _max_pool.max_pool2d_relu_grad(out, taps, x, window)
    assert np.array_equal(masked, found if sign > 0 else 0 * x)


def test_windows_that_overlap_add_their_gradients():
    x = np.zeros((1, 1, 3, 3), np.float32)
    x[0, 0, 1, 1] = 1
    _, taps = _max_pool.max_pool2d(x, Window((2, 2)))
    grad = _max_pool.max_pool2d_grad(np.ones((1, 1, 2, 2), np.float32), taps, (3, 3), Window((2, 2)))
    assert grad[0, 0].tolist() == [[0, 0, 0], [0, 4, 0], [0, 0, 0]]


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4)])
def test_no_images(shape):
    window = Window((2, 2), (2, 2))
    out, taps = _max_pool.max_pool2d(np.ones(shape, np.float32), window)
    assert out.shape == _pool.avg_pool2d(np.ones(shape, np.float32), window).shape == (*shape[:2], 2, 2)
    assert _max_pool.max_pool2d_grad(out, taps, (4, 4), window).shape == shape
    assert _pool.avg_pool2d_grad(out, (4, 4), window).shape == shape
    assert _max_pool.max_pool2d_take(np.ones(shape, np.float32), taps, window).shape == out.shape
