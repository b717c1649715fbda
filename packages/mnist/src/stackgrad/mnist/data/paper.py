"""The paper around a digit in a picture: its colour, its shading, and the removal of a frame around it.

A picture is (height, width, channels) here, with levels from 0 to 255. A line is a row or a column.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FAINTEST: Final = 24
"""Smaller differences from the paper count as noise or as shades of the paper."""

_PLAIN = 0.97  # at least this fraction of a plain line has one colour
_PAPER = 0.95  # the same for the border of the paper inside a frame, which the digit may touch
_THICKEST = 0.25  # the thickest frame, relative to the picture
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow
_SHADED = 0.8  # at least this fraction of the paper must match the estimated shading


def without_frame(picture: Levels) -> Levels:
    """Remove a frame, or a strip along some sides, whose colour differs from the paper.

    A frame is plain along its whole length. The picture inside it has a border of plain paper, and writing on it.
    """
    counts = [4] if _is_plain(_ring(picture)) else [1, 2, 3, 4]
    for sides in itertools.chain.from_iterable(itertools.combinations(range(4), count) for count in counts):
        inside = _cut(picture, sides)
        if inside is not None:
            return without_frame(inside)
    return picture


def to_grey(picture: Levels) -> Levels:
    """Grey levels (height, width): the brightness, or if ink and paper are about equally bright, the distance of each
    colour from the paper's."""
    if picture.shape[2] == 1:
        return picture[:, :, 0]
    grey: Levels = picture @ _GREY
    from_paper = np.abs(picture - _colour(_ring(picture))).max(2)
    brighter = np.abs(grey - np.median(_ring(grey[:, :, None]))).max()
    return grey if 2 * brighter >= from_paper.max() else from_paper


def levelled(grey: Levels) -> Levels:
    """Remove the shading of the paper from grey levels, if it is quadratic, such as a vignette."""
    ring = _ring(grey[:, :, None])
    if _is_plain(ring) or min(grey.shape) < 8:
        return grey
    terms = _terms(*grey.shape)
    at = _ring(terms)
    values = ring[:, 0].astype(np.float64)
    kept = np.ones(len(values), bool)
    shading = np.zeros(terms.shape[2])
    for _ in range(10):
        shading = np.linalg.lstsq(at[kept], values[kept], rcond=None)[0]
        away = np.abs(values - at @ shading)
        kept = away <= max(2.5 * float(np.median(away)), 4.0)
    if (away <= FAINTEST).mean() < _SHADED:
        return grey
    paper = terms @ shading
    flat: Levels = (grey - paper + np.median(paper)).astype(np.float32)
    return flat


def bounds(mask: Mask) -> tuple[int, int, int, int]:
    """The first and last row, and the first and last column, with a True element."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def cropped(picture: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
    """The smallest rectangle of a picture that contains all True elements of a mask."""
    top, bottom, left, right = bounds(mask)
    return picture[top : bottom + 1, left : right + 1]


def is_hole(written: Mask, paper: Mask) -> bool:
    """Whether the supposed writing is the hole of an angular 0 or 8 that was mistaken for paper: it fills the rectangle
    around it, and is too wide for a 1."""
    part, around = cropped(written, written), cropped(paper, paper)
    return bool(part.sum() >= 0.7 * part.size and part.shape[1] >= 0.35 * around.shape[1])


def _ring(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The outermost pixels (n, channels)."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def _colour(pixels: Levels) -> Levels:
    """The median colour of pixels (n, channels)."""
    colour: Levels = np.median(pixels, 0)
    return colour


def _is_plain(pixels: Levels, share: float = _PLAIN) -> bool:
    away = np.abs(pixels - _colour(pixels)).max(1)
    return bool((away <= FAINTEST).mean() >= share)


def _cut(picture: Levels, sides: Collection[int]) -> Levels | None:
    """The picture without the frame along these sides, or None if there is no such frame."""
    inside, left, frame = picture, list(sides), _colour(picture[0])
    progress = True
    while left and progress:
        progress = False
        for side in list(left):
            rotated = np.rot90(inside, side)  # this side is at the top now
            thick = _thickness(rotated, round(_THICKEST * np.rot90(picture, side).shape[0]))
            if thick:
                frame = _colour(rotated[0])
                inside = np.rot90(rotated[thick:], -side)
                left.remove(side)
                progress = True
    if left or min(inside.shape[:2]) < 3:
        return None
    ring = _ring(inside)
    paper = _colour(ring)
    contrast = float(np.abs(paper - frame).max())
    if contrast < FAINTEST or not _is_plain(ring, _PAPER):
        return None
    if len(sides) < 4 and not all(_is_plain(np.rot90(inside, side)[0]) for side in sides):
        return None  # a stroke of the digit, where other strokes begin
    written = np.abs(inside - paper).max(2) >= FAINTEST
    if written.mean() <= 0.001 or is_hole(written, np.ones_like(written)):
        return None
    return inside


def _thickness(picture: Levels, most: int) -> int:
    """How many lines at the top have one plain colour or blend into the next one; 0 if none or more than `most`."""
    frame = _colour(picture[0])
    before = frame
    for count, line in enumerate(picture[: most + 1]):
        colour = _colour(line)
        of_frame = float(np.abs(colour - frame).max()) <= FAINTEST
        if of_frame and not _is_plain(line):
            return count
        if not of_frame and float(np.abs(colour - before).max()) <= FAINTEST / 2:
            return count - 1
        before = colour
    return 0


def _terms(height: int, width: int) -> npt.NDArray[np.float64]:
    """The terms of a quadratic surface (height, width, 6)."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
