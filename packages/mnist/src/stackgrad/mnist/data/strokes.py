"""Convert a drawn digit, given as the strokes of a pen, to MNIST's format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .images import ImageError, ink_to_mnist

MAX_POINTS: Final = 10_000

# The pen's width for a digit of 20 pixels, as in MNIST. It was measured on 2,000 test images, redrawn along the middle
# of their strokes: the accuracy of lenet5 is 98 % with pens of 1.5 to 2.5 pixels, 97.6 % with 3 and 95.6 % with 4, and
# 98.4 % on the images themselves. A pen as wide as on the screen would be too wide for digits that are drawn small: at
# a third of the page's height, the accuracy is 77 %.
_PEN = 2.25
_LENGTH = 20
_FINE = 12  # pixels to average for each of MNIST's, in each direction
_SHORTEST = 0.05  # relative to the page; anything smaller is a dot


def read_strokes(strokes: object) -> NDArray[np.uint8]:
    """Draw strokes with a round pen, as wide as the digit's size requires, and convert them to MNIST's format.

    Args:
        strokes: lists of points [x, y], decoded from JSON; x and y are 0 to 1 from the left and the top of the page.

    Returns:
        uint8 (28, 28): 0 is the background, 255 full ink.

    Raises:
        ImageError: not such lists, no points, or more than `MAX_POINTS`.
    """
    return ink_to_mnist(_drawn(_checked(strokes)))


def _checked(strokes: object) -> list[NDArray[np.float64]]:
    """The points (n, 2) of each stroke, if the strokes are valid."""
    if not isinstance(strokes, list) or not all(isinstance(stroke, list) and stroke for stroke in strokes):
        raise ImageError("expected a list of strokes, each a list of one or more points [x, y]")
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
    """Draw the digit in white on black, at `_FINE` times MNIST's size."""
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
