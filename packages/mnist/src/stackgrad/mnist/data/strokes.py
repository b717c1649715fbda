"""A drawn digit, as the strokes of a pen, in the form that MNIST's own images have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .images import ImageError, ink_to_mnist

MAX_POINTS: Final = 10_000

# The pen's width where the digit is 20 pixels long, as in MNIST. Measured on 2,000 test images whose middle lines were
# drawn anew: lenet5 then reads 98 % of them with pens of 1.5 to 2.5 pixels, 97.6 % with 3 and 95.6 % with 4; of the
# images themselves 98.4 %. A pen as wide as the one on the screen would be too wide for digits that are drawn small:
# at a third of the page's height 77 % were read.
_PEN = 2.25
_LENGTH = 20
_FINE = 12  # this many pixels for one of MNIST's, to be averaged
_SHORTEST = 0.05  # of the page; what is smaller is taken for a dot


def read_strokes(strokes: object) -> NDArray[np.uint8]:
    """Draw strokes with a round pen, its width in proportion to the digit's size, and bring them into MNIST's form.

    Args:
        strokes: lists of points [x, y], 0 to 1 from the page's left and from its top, as JSON gives them.

    Returns:
        uint8 (28, 28): 0 is the background, 255 full ink.

    Raises:
        ImageError: no such lists, no point at all, or more than `MAX_POINTS`.
    """
    return ink_to_mnist(_drawn(_checked(strokes)))


def _checked(strokes: object) -> list[NDArray[np.float64]]:
    """Each stroke's points (n, 2)."""
    if not isinstance(strokes, list) or not all(isinstance(stroke, list) and stroke for stroke in strokes):
        raise ImageError("expected a list of strokes, each a list of points [x, y], at least one")
    points = [point for stroke in strokes for point in stroke]
    if not points:
        raise ImageError("nothing is drawn: there is no stroke")
    if len(points) > MAX_POINTS:
        raise ImageError(f"{len(points):,} points; at most {MAX_POINTS:,} are accepted")
    for point in points:
        if not _is_point(point):
            raise ImageError(f"a point is {point!a:.40}: expected [x, y], two numbers from 0 to 1")
    return [np.array(stroke, np.float64) for stroke in strokes]


def _is_point(point: object) -> bool:
    return (
        isinstance(point, list)
        and len(point) == 2
        and all(type(x) in (int, float) and 0 <= x <= 1 for x in point)  # not bool, not NaN
    )


def _drawn(strokes: Sequence[NDArray[np.float64]]) -> NDArray[np.uint8]:
    """White ink on a black page: the digit at `_FINE` times MNIST's size."""
    points = np.concatenate(strokes)
    corner = points.min(0)
    extent = points.max(0) - corner
    scale = (_LENGTH - _PEN) * _FINE / max(extent.max(), _SHORTEST)
    margin = (_PEN / 2 + 1) * _FINE
    width, height = (math.ceil(x) for x in extent * scale + 2 * margin)
    page = Image.new("L", (width, height))
    pen = ImageDraw.Draw(page)
    radius = _PEN * _FINE / 2
    for stroke in strokes:
        line = (stroke - corner) * scale + margin
        pen.line(line.ravel().tolist(), fill=255, width=round(2 * radius), joint="curve")
        for x, y in (line[0], line[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(page)
