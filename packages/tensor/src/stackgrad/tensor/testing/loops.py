"""Convolution and pooling in plain loops over Python floats: an oracle that shares no code with any backend.

It is slow: about 100 nanoseconds per multiplication. Images are nested lists or arrays (batch, channels, height,
width); results are float64 arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._types import Pair
from .._window import Window


def _taps(window: Window, row: int, column: int, height: int, width: int) -> Iterator[tuple[Pair, Pair]]:
    """For the window at (row, column): each tap (i, j) that is on the image, and the pixel (y, x) under it."""
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            y = row * window.stride[0] + i * window.dilation[0] - window.padding[0][0]
            x = column * window.stride[1] + j * window.dilation[1] - window.padding[1][0]
            if 0 <= y < height and 0 <= x < width:
                yield (i, j), (y, x)


def _extent(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """The count of window positions, found by counting."""
    count = 0
    while count * stride + dilation * (kernel - 1) < size + padding[0] + padding[1]:
        count += 1
    return count


def output_size(size: Pair, window: Window) -> Pair:
    """The height and width of the result for an image of `size`."""
    parts = zip(size, window.kernel, window.stride, window.padding, window.dilation, strict=True)
    rows, columns = (_extent(*part) for part in parts)
    return rows, columns


def conv2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None, window: Window, groups: int) -> NDArray[Any]:
    """x (n, c, h, w) with weight (o, c / groups, kh, kw) and bias (o,): (n, o, oh, ow)."""
    image, kernel = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    (n, c, h, w), o = image.shape, kernel.shape[0]
    offsets = [0.0] * o if bias is None else np.asarray(bias, np.float64).tolist()
    oh, ow = output_size((h, w), window)
    out = np.zeros((n, o, oh, ow))
    pixels, weights = image.tolist(), kernel.tolist()
    for b in range(n):
        for k in range(o):
            first = k // (o // groups) * (c // groups)
            for r in range(oh):
                for s in range(ow):
                    total = offsets[k]
                    for (i, j), (y, z) in _taps(window, r, s, h, w):
                        for q in range(c // groups):
                            total += pixels[b][first + q][y][z] * weights[k][q][i][j]
                    out[b, k, r, s] = total
    return out


def conv2d_grads(
    g: ArrayLike, x: ArrayLike, weight: ArrayLike, window: Window, groups: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The gradients of x, weight and bias from g (n, o, oh, ow)."""
    image, kernel, grad = (np.asarray(a, np.float64) for a in (x, weight, g))
    (n, c, h, w), o = image.shape, kernel.shape[0]
    x_grad, weight_grad, bias_grad = np.zeros(image.shape), np.zeros(kernel.shape), np.zeros(o)
    pixels, weights, outer = image.tolist(), kernel.tolist(), grad.tolist()
    for b in range(n):
        for k in range(o):
            first = k // (o // groups) * (c // groups)
            for r in range(grad.shape[2]):
                for s in range(grad.shape[3]):
                    part = outer[b][k][r][s]
                    bias_grad[k] += part
                    for (i, j), (y, z) in _taps(window, r, s, h, w):
                        for q in range(c // groups):
                            x_grad[b, first + q, y, z] += part * weights[k][q][i][j]
                            weight_grad[k, q, i, j] += part * pixels[b][first + q][y][z]
    return x_grad, weight_grad, bias_grad


def max_pool2d(x: ArrayLike, window: Window) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The largest value under the window, and its tap: the first of equal values, or the last NaN."""
    image = np.asarray(x, np.float64)
    n, c, h, w = image.shape
    oh, ow = output_size((h, w), window)
    out, taps = np.zeros((n, c, oh, ow)), np.zeros((n, c, oh, ow), np.int32)
    pixels = image.tolist()
    for b, q, r, s in np.ndindex(n, c, oh, ow):
        best, tap = None, 0
        for (i, j), (y, z) in _taps(window, r, s, h, w):
            value = pixels[b][q][y][z]
            if best is None or value > best or math.isnan(value):
                best, tap = value, i * window.kernel[1] + j
        out[b, q, r, s], taps[b, q, r, s] = best, tap
    return out, taps


def max_pool2d_grad(g: ArrayLike, x: ArrayLike, window: Window) -> NDArray[Any]:
    """The gradient of x (n, c, h, w) from g (n, c, oh, ow), all of it to the first of equal values."""
    image, grad = np.asarray(x, np.float64), np.asarray(g, np.float64)
    _, taps = max_pool2d(image, window)
    out = np.zeros(image.shape)
    for b, q, r, s in np.ndindex(*grad.shape):
        for (i, j), (y, z) in _taps(window, r, s, image.shape[2], image.shape[3]):
            if i * window.kernel[1] + j == taps[b, q, r, s]:
                out[b, q, y, z] += grad[b, q, r, s]
    return out


def avg_pool2d(x: ArrayLike, window: Window) -> NDArray[Any]:
    """The mean under the window, including padded zeros."""
    image = np.asarray(x, np.float64)
    n, c, h, w = image.shape
    out = np.zeros((n, c, *output_size((h, w), window)))
    pixels = image.tolist()
    for b, q, r, s in np.ndindex(*out.shape):
        total = math.fsum(pixels[b][q][y][z] for _, (y, z) in _taps(window, r, s, h, w))
        out[b, q, r, s] = total / (window.kernel[0] * window.kernel[1])
    return out


def avg_pool2d_grad(g: ArrayLike, size: Pair, window: Window) -> NDArray[Any]:
    """The gradient of an image of `size` from g (n, c, oh, ow)."""
    grad = np.asarray(g, np.float64)
    out = np.zeros((*grad.shape[:2], *size))
    for b, q, r, s in np.ndindex(*grad.shape):
        for _, (y, z) in _taps(window, r, s, *size):
            out[b, q, y, z] += grad[b, q, r, s] / (window.kernel[0] * window.kernel[1])
    return out
