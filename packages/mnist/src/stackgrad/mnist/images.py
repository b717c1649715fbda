"""A picture of one digit, from a file or an array, in the form that MNIST's own images have.

MNIST's page (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/) describes how its images were made: black and
white scans were "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", which brought in the
grey levels, and then placed with their centre of mass at the centre of a 28x28 field. The same is done here.
"""

import io
import math
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS: Final = 50_000_000
"""Larger image files are refused before they are decompressed."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # not all that Pillow reads: EPS would start Ghostscript
_WORKING_SIDE = 1000  # larger images are averaged down to this first: less noise, less memory
_BAND = 1_000_000  # pixels that are turned to grey at a time
_SIDE, _BOX, _CENTRE = 28, 20, 14
_FAINTEST = 24  # ink that differs less from the background is taken for noise
_DARK = 32


class ImageError(ValueError):
    """An image that cannot be used; one line that says why, and names the file if there is one."""


def read_image(source: Path | bytes) -> npt.NDArray[np.uint8]:
    """Read a picture of one digit on a plain background, of any size, colour and polarity.

    Transparent parts count as white paper (black, if nothing would show on white). The rest is `to_mnist`.

    Args:
        source: a PNG, JPEG, BMP, GIF or WebP file of at most `MAX_PIXELS`, or what such a file holds.

    Returns:
        uint8 (28, 28): 0 is the background, 255 full ink.

    Raises:
        ImageError: the file cannot be read, is no such image, is damaged or too large, or shows nothing.
    """
    if isinstance(source, bytes):
        return to_mnist(_decode(io.BytesIO(source)))
    try:
        return to_mnist(_decode(source))
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def to_mnist(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Bring a picture of one digit into MNIST's form.

    The background is the median of the border; light ink on dark stays, dark ink on light is inverted. A 28x28 picture
    on a dark background is then taken for one of MNIST's form and returned as it is. Otherwise the contrast is
    stretched, the ink fitted into 20x20, and its centre of mass placed at pixel (14, 14), where MNIST has it.

    Args:
        grey: uint8 (height, width).

    Returns:
        uint8 (28, 28): 0 is the background, 255 full ink.

    Raises:
        ImageError: another dtype or shape, or no pixel that differs clearly from the background.
    """
    if grey.dtype != np.uint8 or grey.ndim != 2 or not grey.size:
        raise ImageError(f"expected a greyscale image, uint8 (height, width), not {grey.dtype} {grey.shape}")
    border = np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])
    background = int(np.median(border))
    darkest, lightest = int(grey.min()), int(grey.max())
    if background - darkest > lightest - background:
        grey, background, lightest = 255 - grey, 255 - background, 255 - darkest
    contrast = lightest - background
    if contrast < _FAINTEST:
        raise ImageError(
            f"the image is blank: no pixel differs from the background by {_FAINTEST} of the 255 levels of grey or more"
        )
    if grey.shape == (_SIDE, _SIDE) and background < _DARK:
        return grey.copy()
    # (height, width), 0 at a quarter of the contrast and 1 at three quarters: shades of the paper and of the stroke
    # vanish, while edges keep their place at one half.
    ink = np.clip((grey - np.float32(background)) * np.float32(2 / contrast) - np.float32(0.5), 0, 1)
    return _centred(_fitted(ink))


def _decode(source: Path | io.BytesIO) -> npt.NDArray[np.uint8]:
    """The file's picture as greyscale (height, width), its longer side at most 1000."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of harmless flaws, and of sizes beyond a limit of its own, which is above ours.
            warnings.simplefilter("ignore")
            with Image.open(source, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ImageError(f"too large: {width}x{height} pixels; at most {MAX_PIXELS:,} are accepted")
                image.draft("L", (_WORKING_SIDE, _WORKING_SIDE))  # a JPEG need not be decoded at its full size
                small = _greyscale(image, math.ceil(max(image.size) / _WORKING_SIDE))
                small.getexif().update(image.getexif())
                return np.asarray(ImageOps.exif_transpose(small))
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"too large: at most {MAX_PIXELS:,} pixels are accepted") from error
    except UnidentifiedImageError as error:
        raise ImageError("not an image that can be read: expected PNG, JPEG, BMP, GIF or WebP") from error
    except Exception as error:  # a damaged file makes Pillow's decoders raise nearly anything, SyntaxError included
        reason = (isinstance(error, OSError) and error.strerror) or f"damaged image: {error}"
        raise ImageError(str(reason)) from error


def _greyscale(image: Image.Image, factor: int) -> Image.Image:
    """The picture in grey, averaged down by `factor`.

    Made from one band after another: what this needs besides the decoded picture is then small, whatever its size.
    """
    width, height = image.size
    rows = factor * max(1, _BAND // (width * factor))
    bands = [_on_papers(image.crop((0, y, width, min(y + rows, height))), factor) for y in range(0, height, rows)]
    on_white, on_black = (np.concatenate(band) for band in zip(*bands, strict=True))
    return Image.fromarray(on_white if np.ptp(on_white) >= _FAINTEST else on_black)


def _on_papers(image: Image.Image, factor: int) -> list[npt.NDArray[np.uint8]]:
    """The picture in grey on white paper and on black, averaged down by `factor`."""
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion clips at 255
        both = [Image.fromarray((np.asarray(image) // 257).astype(np.uint8))] * 2
    elif not image.has_transparency_data:
        both = [image.convert("L")] * 2
    else:
        grey, alpha = image.convert("RGBA").convert("LA").split()
        both = [Image.composite(grey, Image.new("L", grey.size, paper), alpha) for paper in (255, 0)]
    return [np.asarray(grey.reduce(factor) if factor > 1 else grey) for grey in both]


def _fitted(ink: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The part of (height, width) that holds ink, its longer side scaled to 20."""
    rows, columns = (np.flatnonzero((ink >= 0.25).any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    height, width = bottom - top, right - left
    scale = _BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # When it shrinks an image, Pillow widens this filter to all pixels that it covers.
    small: npt.NDArray[np.float32] = np.array(
        Image.fromarray(ink[top:bottom, left:right]).resize(size, Image.Resampling.BILINEAR)
    )
    small /= small.max()  # a thin line shrinks to a faint one, hence this second stretch
    return small


def _centred(ink: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Put (height, width), at most 20x20, into 28x28 with its centre of mass at the centre."""
    out = np.zeros((_SIDE, _SIDE), np.uint8)
    corner = []
    for axis in (0, 1):
        mass = ink.sum(1 - axis)
        centre = float(mass @ np.arange(len(mass))) / float(mass.sum())
        corner.append(min(max(round(_CENTRE - centre), 0), _SIDE - len(mass)))
    window = tuple(slice(start, start + extent) for start, extent in zip(corner, ink.shape, strict=True))
    out[window] = np.rint(255 * ink)
    return out
