"""Bringing images to channels-last memory: (n, c, h, w) for people, n h w c in memory, padded where need be."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from ._buffers import SLACK, empty, has_slack
from ._jit import kernel
from ._on_host import on_host
from ._parallel import SERIAL
from ._simd import load, store

Pair = tuple[int, int]


@on_host
def in_order(x: NDArray[Any]) -> NDArray[Any]:
    """x if it is in C order, else a copy that is."""
    return np.ascontiguousarray(x)


BLOCK = 256  # pixels, whose channels fit the first-level cache


@kernel(lambda T: (T[::1], T[::1], *[types.intp] * 3))
def _turn(chunk, x, out, c, pixels, blocks):
    """A block of pixels of one image (c, pixels) as (pixels, c)."""
    image, first = chunk // blocks * c * pixels, chunk % blocks * BLOCK
    for channel in range(c):
        source, to = image + channel * pixels + first, image + first * c + channel
        for _ in range(min(BLOCK, pixels - first)):
            store(out, to, load(x, source))
            source += 1
            to += c


def channels_last(x: NDArray[Any]) -> NDArray[Any]:
    """x (n, c, h, w) as (n, h, w, c) in C order; without a copy if its memory is that already."""
    n, c, h, w = x.shape
    turned = x.transpose(0, 2, 3, 1)
    if turned.flags.c_contiguous or not x.flags.c_contiguous or not x.size:
        return in_order(turned)
    out = empty((n, h, w, c), x.dtype)
    blocks = -(-h * w // BLOCK)
    _turn[x.dtype](n * blocks, x.size < SERIAL, (x.reshape(-1), out.reshape(-1), c, h * w, blocks))
    return out


def channels_first(x: NDArray[Any]) -> NDArray[Any]:
    """The view (n, c, h, w) of x (n, h, w, c)."""
    return x.transpose(0, 3, 1, 2)


def readable_beyond(x: NDArray[Any]) -> NDArray[Any]:
    """x, in C order, flat, such that SLACK bytes behind it can be read."""
    flat = in_order(x).reshape(-1)
    if has_slack(flat):
        return flat
    return _with_slack(flat)


@on_host
def _with_slack(flat: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([flat, np.zeros(SLACK // flat.itemsize, flat.dtype)])[: flat.size]


@kernel(lambda T: (T[::1], T[::1], T, *[types.intp] * 10))
def _spread(image, x, out, fill, h, w, c, out_h, out_w, out_c, top, left, step_h, step_w):
    """One image of `spread`."""
    source, target = image * h * w * c, image * out_h * out_w * out_c
    # Pixels that stay neighbours are copied a row at a time.
    run, runs = (w * c, 1) if step_w == 1 and c == out_c else (c, w)
    for i in range(target, target + out_h * out_w * out_c):
        store(out, i, fill)
    for row in range(h):
        at = target + ((top + row * step_h) * out_w + left) * out_c
        for _ in range(runs):
            for i in range(run):
                store(out, at + i, load(x, source + i))
            source += run
            at += step_w * out_c


def spread(
    x: NDArray[Any], size: Pair, corner: Pair, step: Pair = (1, 1), channels: int = 0, slack: int = 0, fill: float = 0.0
) -> NDArray[Any]:
    """x (n, h, w, c), in C order, put into (n, *size, channels) of `fill`: the first pixel at `corner`, `step` apart.

    `channels` of 0 keeps c. Flat, with room for `slack` elements more, which a kernel may read and must not use.
    """
    n, h, w, c = x.shape
    channels = channels or c
    out = empty(n * size[0] * size[1] * channels + slack, x.dtype)
    _spread[x.dtype](n, out.size < SERIAL, (x.reshape(-1), out, fill, h, w, c, *size, channels, *corner, *step))
    return out
