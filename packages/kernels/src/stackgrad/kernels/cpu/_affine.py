"""Rotated, shifted, scaled and sheared images: sampled along affine maps, in integer arithmetic.

Integers have no rounding that a compiler could reorder, so any machine, and plain NumPy, gives the same images.
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

FINE = 16  # fractional bits of a position
LARGEST = 2.0**20  # entries of a map
IMAGES = 16  # in a chunk
COST = 8  # units of work of one pixel
_BYTE = np.dtype(np.uint8)


@kernel(lambda T: (Memory(T), Memory(T), Memory(types.int64), types.intp, types.intp, types.intp))
def _sample(chunk, images, out, maps, n, h, w):
    """Sample IMAGES of the n images (h, w). Positions are in pixels times 2**FINE, weights in 256ths."""
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
    """Sample each image along its map, bilinearly, in parallel, with zeros outside the image.

        out[i, row, column] = images[i] at the (row, column) position maps[i] @ (row, column, 1)

    Entries of a map are rounded to multiples of 2**-16, positions down to 256ths of a pixel, and grey levels to the
    nearest, halves up: the same bytes on any machine, with any number of threads.

    Args:
        images: uint8 (n, h, w).
        maps: (n, 2, 3), of absolute value below 2**20.

    Returns:
        uint8 (n, h, w).

    Raises:
        ValueError: for another dtype or shape, and for a map that is non-finite or too large.
    """
    if images.dtype != np.uint8 or images.ndim != 3:
        raise ValueError(f"affine_images: images of {images.dtype} {images.shape}: expected uint8 (n, h, w)")
    n, h, w = images.shape
    if maps.shape != (n, 2, 3):
        raise ValueError(f"affine_images: maps of shape {maps.shape} for {n} images: expected ({n}, 2, 3)")
    wrong = ~(np.abs(maps) < LARGEST)
    if wrong.any():
        raise ValueError(f"affine_images: {maps[wrong][0]} in a map: expected absolute values below 2**20")
    out = empty(images.shape, _BYTE)
    if out.size:
        fixed = np.rint(np.asarray(maps, np.float64) * 2**FINE).astype(np.int64).reshape(-1)
        shared = (in_order(images).reshape(-1), out.reshape(-1), fixed, n, h, w)
        _sample[_BYTE](-(-n // IMAGES), out.size * COST, shared)
    return out
