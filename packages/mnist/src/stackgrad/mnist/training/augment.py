"""Images slightly changed, as the same digit might have been written another time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stackgrad.kernels import affine_images
from stackgrad.tensor import Backend, Generator, get_backend, rand

SHIFT = 2.0  # pixels, at most, in each direction
ROTATION = 10.0  # degrees
STRETCH = 0.1  # of a height or width of 1
SHEAR = 0.1  # columns a row


def augment(
    images: NDArray[np.uint8],
    generator: Generator,
    backend: str | Backend | None = None,
    batch_size: int | None = None,
    part: slice = slice(None),
) -> NDArray[np.uint8]:
    """uint8 images (n, h, w), each turned, stretched, sheared and shifted a little about its centre.

    One draw from `generator`, so its state before the call gives the same images again; they are the same on every
    backend, and for images that are a part of a larger batch. On "numpy" NumPy does the work, else all cores in
    parallel.
    """
    count = len(images) if batch_size is None else batch_size
    draws = rand(count, 6, dtype="float64", generator=generator, backend="numpy").numpy()[part]
    maps = change_maps(draws, images.shape[1:])
    return (affine_images_plain if get_backend(backend).name == "numpy" else affine_images)(images, maps)


def change_maps(draws: NDArray[np.float64], size: tuple[int, ...]) -> NDArray[np.float64]:
    """For draws (n, 6) from 0 to 1 the maps (n, 2, 3) that take a place in the new image to one in the old."""
    angle, height, width, shear, down, right = (2 * draws - 1).T
    cos, sin = np.cos(np.deg2rad(ROTATION) * angle), np.sin(np.deg2rad(ROTATION) * angle)
    height, width, shear = 1 + STRETCH * height, 1 + STRETCH * width, SHEAR * shear
    # Rows and columns are sheared and stretched, then turned.
    maps = np.empty((len(draws), 2, 3))
    maps[:, 0, 0], maps[:, 0, 1] = (cos - sin * shear) * height, -sin * width
    maps[:, 1, 0], maps[:, 1, 1] = (sin + cos * shear) * height, cos * width
    centre = (np.array(size) - 1) / 2
    maps[:, :, 2] = centre + SHIFT * np.stack((down, right), 1) - maps[:, :, :2] @ centre
    return maps


def affine_images_plain(images: NDArray[np.uint8], maps: NDArray[np.float64]) -> NDArray[np.uint8]:
    """`stackgrad.kernels.affine_images` in NumPy, to the bit: what the numpy backend uses, and the tests."""
    n, h, w = images.shape
    fixed = np.rint(maps * 2**16).astype(np.int64)
    rows, columns = np.mgrid[:h, :w]
    # (n, 2, h, w): the row and the column to read from, in 2**-16 of a pixel
    places = fixed[:, :, :1, None] * rows + fixed[:, :, 1:2, None] * columns + fixed[:, :, 2:, None]
    (top, left), (low, right) = (places >> 16).swapaxes(0, 1), (places >> 8 & 255).swapaxes(0, 1)
    total = np.full((n, h, w), 1 << 15)
    for y, y_share in ((top, 256 - low), (top + 1, low)):
        for x, x_share in ((left, 256 - right), (left + 1, right)):
            inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
            found = images[np.arange(n)[:, None, None], np.where(inside, y, 0), np.where(inside, x, 0)]
            total += np.where(inside, found, 0) * (y_share * x_share)
    return (total >> 16).astype(np.uint8)
