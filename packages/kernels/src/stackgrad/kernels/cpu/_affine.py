"""Images turned, shifted, stretched and sheared: sampled along affine maps, in whole numbers alone.

Whole numbers have no rounding that a compiler may move, so the same images come out of any machine and of plain NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._channels_last import in_order
from ._kernel import kernel
from ._memory import empty
from ._numba import types
from ._pointers import Memory, load, store

FINE = 16  # bits after the point of a place
LARGEST = 2.0**20  # of the numbers in a map
IMAGES = 16  # in a chunk
COST = 8  # operations that one pixel takes as long as
_BYTE = np.dtype(np.uint8)


@kernel(lambda T: (Memory(T), Memory(T), Memory(types.int64), types.intp, types.intp, types.intp))
def _sample(chunk, images, out, maps, n, h, w):
    """IMAGES of the n images (h, w). A place is in pixels times 2**FINE, a share of a pixel in 256ths."""
    for image in range(chunk * IMAGES, min(n, (chunk + 1) * IMAGES)):
        source, m = image * h * w, image * 6
        down_y, right_y, start_y = load(maps, m), load(maps, m + 1), load(maps, m + 2)
        down_x, right_x, start_x = load(maps, m + 3), load(maps, m + 4), load(maps, m + 5)
        for row in range(h):
            y, x = row * down_y + start_y, row * down_x + start_x
            for column in range(w):
                top, left = y >> FINE, x >> FINE
                low, right = (y >> (FINE - 8)) & 255, (x >> (FINE - 8)) & 255
                total = 1 << 15
                if -1 <= top < h and -1 <= left < w:
                    at = source + top * w + left
                    if top >= 0:
                        if left >= 0:
                            total += load(images, at) * ((256 - low) * (256 - right))
                        if left + 1 < w:
                            total += load(images, at + 1) * ((256 - low) * right)
                    if top + 1 < h:
                        if left >= 0:
                            total += load(images, at + w) * (low * (256 - right))
                        if left + 1 < w:
                            total += load(images, at + w + 1) * (low * right)
                store(out, source + row * w + column, np.uint8(total >> 16))
                y += right_y
                x += right_x


def affine_images(images: NDArray[np.uint8], maps: NDArray[Any]) -> NDArray[np.uint8]:
    """Each image sampled along its map, bilinearly, in parallel; beyond its edges lie zeros.

        out[i, row, column] = images[i] at the place maps[i] @ (row, column, 1), given as row and column

    The numbers of a map are rounded to multiples of 2**-16, places then down to 256ths of a pixel, and a half grey
    level up: the same bytes on any machine, with any number of threads.

    Args:
        images: uint8 (n, h, w).
        maps: (n, 2, 3), below 2**20 in size.

    Returns:
        uint8 (n, h, w).

    Raises:
        ValueError: another dtype or shape, a map that is not finite or too large.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(f"affine_images: images of {images.dtype} {images.shape}: expected uint8 (n, h, w)")
    n, h, w = images.shape
    if maps.shape != (n, 2, 3):
        raise ValueError(f"affine_images: maps of shape {maps.shape} for {n} images: expected ({n}, 2, 3)")
    wrong = ~(np.abs(maps) < LARGEST)
    if wrong.any():
        raise ValueError(f"affine_images: {maps[wrong][0]} in a map: expected numbers below 2**20 in size")
    out = empty(images.shape, _BYTE)
    if out.size:
        fixed = np.rint(np.asarray(maps, np.float64) * 2**FINE).astype(np.int64).reshape(-1)
        shared = (in_order(images).reshape(-1), out.reshape(-1), fixed, n, h, w)
        _sample[_BYTE](-(-n // IMAGES), out.size * COST, shared)
    return out
