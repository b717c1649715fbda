"""Shapes that surround a digit in a picture: a box to write in, or a sheet of paper on a table.

They are found in a coarse picture of at most `_GRID` x `_GRID` pixels. A mask is bool (height, width).
"""

from __future__ import annotations

import numpy as np

from .paper import Levels, Mask, bounds, cropped, is_hole

_GRID = 128
_EDGE = 2  # coarse pixels to cut off at the edge of a sheet
_STRAIGHT = 0.93  # a sheet fills at least this fraction of the smallest rectangle around it
_OPEN = 0.5  # a digit leaves at least this fraction of the edge of its sheet free, and of three corners
_TALL = 0.35  # writing in a box is at least this large, relative to the box
_LEAST, _MOST = 0.005, 0.4  # the fraction of a sheet that writing covers


def without_box(ink: Levels) -> Levels:
    """Remove a line that surrounds all other ink, such as a box to write in, from ink (height, width), 0 to 1."""
    coarse = _coarse(ink >= 0.25) > 0
    box = _reaching_out(coarse)
    rest = coarse & ~box
    if not rest.any():
        return ink
    (top, bottom, left, right), outer = bounds(rest), bounds(box)
    surrounded = outer[0] < top and bottom < outer[1] and outer[2] < left and right < outer[3]
    if not surrounded or max((bottom - top) / (outer[1] - outer[0]), (right - left) / (outer[3] - outer[2])) < _TALL:
        return ink  # a dot in a zero
    keep = _grown(rest, ~box)  # includes the soft edges
    return np.where(_fine(keep, ink.shape), ink, np.float32(0))


def sheet(picture: Levels, ink: Levels) -> Levels | None:
    """If the ink of a picture is really a sheet of paper with writing on it, the part of the picture with the sheet.

    Args:
        picture: (height, width, channels).
        ink: 0 to 1, (height, width).
    """
    mask = np.pad(_coarse(ink >= 0.5) >= 0.5, 1)
    if not mask.any():
        return None
    around = _reaching_out(~mask)
    written = ~around & ~mask
    if (
        not _LEAST <= written.sum() / (~around).sum() <= _MOST
        or is_hole(written, ~around)
        or not _is_rectangle(~around)
    ):
        return None
    for _ in range(_EDGE):
        around = _grown(around, np.ones_like(around))
    inside = _fine(~around[1:-1, 1:-1], ink.shape)
    if not inside.any():
        return None
    alone = np.where(inside[:, :, None], picture, np.median(picture[inside], 0))
    return cropped(alone, inside).astype(np.float32)


def sheet_in_frame(picture: Levels, ink: Levels) -> Levels | None:
    """If the ink of a picture is really the paper inside a frame, the part of the picture inside the frame.

    Its edges are straight, except where the digit touches a frame of its own colour.

    Args:
        picture: (height, width, channels).
        ink: 0 to 1, (height, width).
    """
    mask = ink >= 0.5
    part = cropped(mask, mask)
    height, width = (1 + extent // 20 for extent in part.shape)
    corners = [part[y, x].mean() for y in (np.s_[:height], np.s_[-height:]) for x in (np.s_[:width], np.s_[-width:])]
    edge = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    if edge.mean() < _OPEN or min(sorted(corners)[1:]) < _OPEN or _is_of_rectangles(~part) or is_hole(~part, part):
        return None
    soft = 1 + max(part.shape) // 100  # the frame's edge
    inside = cropped(picture, mask)[soft:-soft, soft:-soft]
    return inside if min(inside.shape[:2]) >= 3 else None


def is_cut_sheet(ink: Levels) -> bool:
    """Whether ink (height, width), 0 to 1, looks like a sheet with a digit that reaches its edge: a nearly filled
    rectangle with notches."""
    mask = ink >= 0.5
    part = cropped(mask, mask)
    edge = np.concatenate([part[0], part[-1], part[:, 0], part[:, -1]])
    return bool(0.75 <= edge.mean() < 0.995 and 0.75 <= part.mean() <= 0.96)


def _coarse(mask: Mask) -> Levels:
    """The fraction of each coarse pixel that a mask covers."""
    factor = -(-max(mask.shape) // _GRID)
    height, width = (-(-extent // factor) for extent in mask.shape)
    padded = np.zeros((height * factor, width * factor), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    share: Levels = padded.reshape(height, factor, width, factor).mean((1, 3))
    return share


def _fine(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """A coarse mask, enlarged to the shape of the picture."""
    factor = -(-max(shape) // _GRID)
    return np.repeat(np.repeat(mask, factor, 0), factor, 1)[: shape[0], : shape[1]]


def _is_rectangle(mask: Mask) -> bool:
    """Whether a mask is a rectangle, at any angle."""
    y, x = np.nonzero(mask)
    angles = np.radians(np.arange(-45, 45))[:, None]
    across, down = np.cos(angles) * x + np.sin(angles) * y, np.cos(angles) * y - np.sin(angles) * x
    areas = (np.ptp(across, 1) + 1) * (np.ptp(down, 1) + 1)
    return bool(len(x) >= _STRAIGHT * areas.min())


def _is_of_rectangles(mask: Mask) -> bool:
    """Whether each connected part of a mask is an upright rectangle, like the background around angular digits."""
    left = _coarse(mask) > 0.5
    while left.any():
        part = np.zeros_like(left)
        part.flat[left.argmax()] = True
        part = _connected(part, left)
        if part.sum() < 0.9 * cropped(part, part).size:
            return False
        left &= ~part
    return True


def _reaching_out(mask: Mask) -> Mask:
    """The parts of a mask that are connected to its bounding box."""
    top, bottom, left, right = bounds(mask)
    found = np.zeros_like(mask)
    for window in (np.s_[top], np.s_[bottom], np.s_[:, left], np.s_[:, right]):
        found[window] = mask[window]
    return _connected(found, mask)


def _connected(found: Mask, within: Mask) -> Mask:
    """`found` and everything in the mask `within` that is connected to it."""
    while True:
        grown = _grown(found, within)
        if np.array_equal(grown, found):
            return found
        found = grown


def _grown(found: Mask, within: Mask) -> Mask:
    """`found` and the neighbours of its pixels that are in the mask `within`."""
    padded = np.pad(found, 1)
    height, width = found.shape
    near = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    grown: Mask = np.logical_or.reduce(near) & within
    return grown | found
