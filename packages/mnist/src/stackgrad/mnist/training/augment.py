"""Data augmentation: small random affine maps, as if the same digit had been written again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stackgrad.kernels import affine_images
from stackgrad.tensor import Backend, Generator, get_backend, rand

# The largest change in either direction.
SHIFT = 2.0  # pixels
ROTATION = 10.0  # degrees
STRETCH = 0.1  # relative
SHEAR = 0.1  # columns per row


def augment(
    images: NDArray[np.uint8],
    generator: Generator,
    backend: str | Backend | None = None,
    batch_size: int | None = None,
    part: slice = slice(None),
) -> NDArray[np.uint8]:
    """Rotate, stretch and shear uint8 images (n, h, w) a little about their centre, and shift them.

    It draws from `generator` once, so the state of the generator determines the result. The result is the same on every
    backend. For images that are `part` of a batch of `batch_size`, it is the same as in the whole batch. The backend
    "numpy" computes with NumPy, the others with a kernel on all cores.
    """
    count = len(images) if batch_size is None else batch_size
    draws = rand(count, 6, dtype="float64", generator=generator, backend="numpy").numpy()[part]
    maps = affine_maps(draws, images.shape[1:])
    return (affine_images_plain if get_backend(backend).name == "numpy" else affine_images)(images, maps)


def affine_maps(draws: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """Maps (n, 2, 3) from positions in the new image to positions in the old one, for draws (n, 6) from 0 to 1."""
    angle, height, width, shear, down, right = (2 * draws - 1).T
    cos, sin = np.cos(np.deg2rad(ROTATION) * angle), np.sin(np.deg2rad(ROTATION) * angle)
    height, width, shear = 1 + STRETCH * height, 1 + STRETCH * width, SHEAR * shear
    # First shear and stretch, then rotate.
    maps = np.empty((len(draws), 2, 3))
    maps[:, 0, 0], maps[:, 0, 1] = (cos - sin * shear) * height, -sin * width
    maps[:, 1, 0], maps[:, 1, 1] = (sin + cos * shear) * height, cos * width
    centre = (np.array(size) - 1) / 2
    maps[:, :, 2] = centre + SHIFT * np.stack((down, right), 1) - maps[:, :, :2] @ centre
    return maps


def affine_images_plain(images: NDArray[np.uint8], maps: NDArray[np.float64]) -> NDArray[np.uint8]:
    """`stackgrad.kernels.affine_images` in NumPy, with bitwise the same result, for the numpy backend and the tests."""
    n, h, w = images.shape
    fixed = np.rint(maps * 2**16).astype(np.int64)
    rows, columns = np.mgrid[:h, :w]
    # (n, 2, h, w): the row and the column to read from, in 2**-16 of a pixel
    source = fixed[:, :, :1, None] * rows + fixed[:, :, 1:2, None] * columns + fixed[:, :, 2:, None]
    (top, left), (low, right) = (source >> 16).swapaxes(0, 1), (source >> 8 & 255).swapaxes(0, 1)
    total = np.full((n, h, w), 1 << 15)
    for y, y_share in ((top, 256 - low), (top + 1, low)):
        for x, x_share in ((left, 256 - right), (left + 1, right)):
            inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
            pixels = images[np.arange(n)[:, None, None], np.where(inside, y, 0), np.where(inside, x, 0)]
            total += np.where(inside, pixels, 0) * (y_share * x_share)
    return (total >> 16).astype(np.uint8)
