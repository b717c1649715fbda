"""Convert a picture of one digit, from a file or an array, to MNIST's format.

MNIST's page (LeCun, Cortes and Burges, http://yann.lecun.com/exdb/mnist/) describes how its images were made: black and
white scans were "size normalized to fit in a 20x20 pixel box while preserving their aspect ratio", which introduced the
grey levels. Then the centre of mass was moved to the centre of a 28x28 field. This module does the same.
"""

import io
import math
import warnings
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from ..errors import MistakeError
from .boxes import is_cut_sheet, sheet, sheet_in_frame, without_box
from .deep import deep_papers
from .paper import FAINTEST, Levels, cropped, levelled, to_grey, without_frame

MAX_PIXELS: Final = 50_000_000
"""Larger image files are refused before they are decompressed."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")  # Pillow reads more, but EPS would start Ghostscript
_WORKING_SIDE = 1000  # larger images are averaged down to this, for less noise and less memory
_BAND = 1_000_000  # pixels to average at a time
_SIDE, _BOX, _CENTRE = 28, 20, 14
_DARK = 32


class ImageError(MistakeError):
    """An image cannot be used. The message is one line that says why, and names the file if there is one."""


def read_image(source: Path | bytes) -> npt.NDArray[np.uint8]:
    """Read a picture of one digit on plain paper, of any size and colour, dark on light or light on dark.

    Transparent parts become white paper, or black paper if nothing would show on white. From an animation, the first
    picture is used. `to_mnist` does the rest.

    Args:
        source: a PNG, JPEG, BMP, GIF or WebP file of at most `MAX_PIXELS`, or the contents of such a file.

    Returns:
        uint8 (28, 28): 0 is the background, 255 full ink.

    Raises:
        ImageError: the file cannot be read, is not such an image, is damaged or too large, or shows no digit.
    """
    if isinstance(source, bytes):
        return to_mnist(_decode(io.BytesIO(source)))
    try:
        return to_mnist(_decode(source))
    except ImageError as error:
        raise ImageError(f"{source}: {error}") from error


def to_mnist(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert a picture of one digit to MNIST's format.

    It removes a frame, a strip along a side, a box around the digit, the table around the paper, and a vignette. The
    background is the median of the border: light ink on dark is kept, and dark ink on light is inverted. Ink as bright
    as the paper is recognised by its colour. A 28x28 picture with a dark background is assumed to be in MNIST's format
    and returned without further changes. Otherwise the contrast is stretched, the ink is scaled to fit into 20x20, and
    its centre of mass is moved to pixel (14, 14), as in MNIST.

    Args:
        picture: uint8 (height, width), or (height, width, 3) for red, green and blue.

    Returns:
        uint8 (28, 28): 0 is the background, 255 full ink.

    Raises:
        ImageError: another dtype or shape, no pixel that differs clearly from the background, or no plain paper around
            the digit.
    """
    if picture.dtype != np.uint8 or picture.shape[2:] not in ((), (3,)) or picture.ndim < 2 or not picture.size:
        raise ImageError(
            f"expected a picture, uint8 (height, width) or (height, width, 3), not {picture.dtype} {picture.shape}"
        )
    levels = without_frame(picture.reshape(*picture.shape[:2], -1).astype(np.float32))
    grey = to_grey(levels)
    if grey.shape == (_SIDE, _SIDE):
        light, background, _ = _light_on_dark(grey)
        if background < _DARK:
            return np.rint(light).astype(np.uint8)
    ink = _ink(levels)
    paper = sheet_in_frame(levels, ink)
    if paper is None:
        paper = sheet(levels, ink)
    if paper is not None:
        ink = _ink(paper)
    if is_cut_sheet(ink):
        raise ImageError("the digit touches the edge of the paper or a frame: leave some plain paper around it")
    return _centred(_fitted(without_box(ink)))


def ink_to_mnist(ink: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Convert white ink on black, uint8 (height, width), with nothing around it, to MNIST's format, as `to_mnist`."""
    return _centred(_fitted(_stretched(ink.astype(np.float32), 0.0, float(ink.max()))))


def _light_on_dark(grey: Levels) -> tuple[Levels, float, float]:
    """Make the ink of grey levels (height, width) lighter than the background. Returns them, the background's level and
    the contrast.

    Raises ImageError if there is no contrast.
    """
    background = float(np.median(np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])))
    darkest, lightest = float(grey.min()), float(grey.max())
    if background - darkest > lightest - background:
        grey, background, lightest = 255 - grey, 255 - background, 255 - darkest
    if lightest - background < FAINTEST:
        raise ImageError(
            f"the image is blank: no pixel differs from the background by {FAINTEST} of the 255 levels of grey or more"
        )
    return grey, background, lightest - background


def _ink(picture: Levels) -> Levels:
    """The ink, 0 to 1, (height, width), of a picture (height, width, channels)."""
    return _stretched(*_light_on_dark(levelled(to_grey(picture))))


def _stretched(light: Levels, background: float, contrast: float) -> Levels:
    """Map a quarter of the contrast to 0 and three quarters to 1: shades of paper and stroke vanish, while edges, at
    one half, do not move."""
    ink: Levels = np.clip((light - np.float32(background)) * np.float32(2 / contrast) - np.float32(0.5), 0, 1)
    return ink


def _decode(source: Path | io.BytesIO) -> npt.NDArray[np.uint8]:
    """Decode to grey (height, width) or colour (height, width, 3), at most 1000 pixels on the longer side."""
    try:
        with warnings.catch_warnings():
            # Pillow warns about harmless flaws, and about sizes above a limit that is higher than ours.
            warnings.simplefilter("ignore")
            with Image.open(source, formats=_FORMATS) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise ImageError(f"too large: {width}x{height} pixels; at most {MAX_PIXELS:,} are accepted")
                image.draft(image.mode, (_WORKING_SIDE, _WORKING_SIDE))  # a JPEG need not be decoded at full size
                small = Image.fromarray(_small(image, source))
                small.getexif().update(image.getexif())
                return np.asarray(ImageOps.exif_transpose(small))
    except (ImageError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"too large: at most {MAX_PIXELS:,} pixels are accepted") from error
    except UnidentifiedImageError as error:
        raise ImageError("not an image in a known format: expected PNG, JPEG, BMP, GIF or WebP") from error
    except Exception as error:  # for a damaged file, Pillow's decoders raise nearly anything, even SyntaxError
        reason = (isinstance(error, OSError) and error.strerror) or f"damaged image: {error}"
        raise ImageError(str(reason)) from error


def _small(image: Image.Image, source: Path | io.BytesIO) -> npt.NDArray[np.uint8]:
    """The picture in grey or colour, averaged down to the working size.

    It is made band by band, so that it needs little memory besides the decoded picture.
    """
    width, height = image.size
    factor = math.ceil(max(image.size) / _WORKING_SIDE)
    rows = factor * max(1, _BAND // (width * factor))
    on_papers = deep_papers(image, source) or (lambda box: _on_papers(image.crop(box)))
    bands = [
        [np.asarray(one.reduce(factor) if factor > 1 else one) for one in on_papers((0, y, width, end))]
        for y in range(0, height, rows)
        for end in [min(y + rows, height)]
    ]
    on_white, on_black = (np.concatenate(band) for band in zip(*bands, strict=True))
    return on_white if np.ptp(on_white, (0, 1)).max() >= FAINTEST else on_black


def _on_papers(image: Image.Image) -> list[Image.Image]:
    """The picture in grey or colour, on white and on black paper."""
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if not image.has_transparency_data:
        return [image.convert(mode)] * 2
    whole = image.convert("RGBA")
    return [
        Image.alpha_composite(Image.new("RGBA", whole.size, paper), whole).convert(mode) for paper in ("white", "black")
    ]


def _fitted(ink: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Crop (height, width) to the ink, and scale its longer side to 20."""
    part = cropped(ink, ink >= 0.25)
    height, width = part.shape
    scale = _BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # To shrink an image, Pillow widens this filter to all the pixels that a new one covers.
    small: npt.NDArray[np.float32] = np.array(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR))
    small /= small.max()  # stretch again, since a thin line becomes faint when it shrinks
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
