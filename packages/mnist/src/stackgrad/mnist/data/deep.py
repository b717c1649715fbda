"""Pictures with 16 bits per channel, at their full depth.

Pillow keeps 16 bits of a grey picture, but only the upper 8 bits of colours and of grey with opacity. Scanners and
cameras with 10, 12 or 14 bits leave the upper bits empty: the brightest value shows how many bits are used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

Box = tuple[int, int, int, int]  # left, top, right, bottom

# Pillow's raw mode for the upper bytes of a PNG file, and the raw mode that gives the lower ones. For grey with
# opacity, the latter gives all four bytes of a pixel.
_LOWER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}


def deep_papers(image: Image.Image, source: Path | IO[bytes]) -> Callable[[Box], list[Image.Image]] | None:
    """A function that returns a part of a picture in 8 bits, in grey or colour, on white and on black paper.

    None for a picture with no more than 8 bits per channel.

    Args:
        image: opened, but not loaded yet.
        source: the file that it was opened from.
    """
    channels = _channels(image, source)
    if not channels:
        return None
    bits = [8 + _brightest(upper).bit_length() for upper, _ in channels]
    colours = len(channels) - 1 if len(channels) in (2, 4) else len(channels)
    most = 2 ** max(bits[:colours]) - 1
    transparent = image.info.get("transparency")

    def on_papers(box: Box) -> list[Image.Image]:
        values = np.stack([_values(channel, box) for channel in channels], 2)
        levels = 255 / most * values[:, :, :colours]
        ink: npt.NDArray[Any] = np.ones_like(levels)
        if len(channels) > colours:
            ink = values[:, :, -1:] / (2 ** bits[-1] - 1)
        elif transparent is not None:
            ink = (values != np.asarray(transparent)).any(2, keepdims=True)
        papers = (np.rint(levels * ink + paper * (1 - ink)).astype(np.uint8) for paper in (255.0, 0.0))
        return [Image.fromarray(paper[:, :, 0] if colours == 1 else paper) for paper in papers]

    return on_papers


def _channels(image: Image.Image, source: Path | IO[bytes]) -> list[tuple[Image.Image, Image.Image]]:
    """The upper and the lower bytes of each channel."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        return [(Image.fromarray((values >> 8).astype(np.uint8)), Image.fromarray(values.astype(np.uint8)))]
    raw = image.tile[0].args if isinstance(image, ImageFile.ImageFile) and image.tile else None
    if not isinstance(raw, str) or raw not in _LOWER:
        return []
    if _LOWER[raw] == image.mode:
        upper, lower, opacity, its_lower = _unpacked(image, _LOWER[raw]).split()
        return [(upper, lower), (opacity, its_lower)]
    image.load()
    with Image.open(source, formats=("PNG",)) as again:
        return list(zip(image.split(), _unpacked(again, _LOWER[raw]).split(), strict=True))


def _unpacked(image: Image.Image, raw: str) -> Image.Image:
    assert isinstance(image, ImageFile.ImageFile)
    image.tile = [tile._replace(args=raw) for tile in image.tile]
    image.load()
    return image


def _brightest(channel: Image.Image) -> int:
    brightest: Any = channel.getextrema()[1]
    return int(brightest)


def _values(channel: tuple[Image.Image, Image.Image], box: Box) -> npt.NDArray[np.float32]:
    upper, lower = (np.asarray(each.crop(box), np.float32) for each in channel)
    return 256 * upper + lower
