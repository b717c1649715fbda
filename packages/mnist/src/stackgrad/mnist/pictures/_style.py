"""The common style of the pictures: colours that the colour-blind can distinguish, and text large enough for a talk."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from numpy.typing import NDArray

# The palette of Okabe and Ito, https://jfly.uni-koeln.de/color/.
BLUE, VERMILLION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
INK, GREY, FAINT, PAPER = "#1a1a1a", "#595959", "#e4e4e4", "#ffffff"
AMOUNT = "viridis"
"""The colour map of amounts, from dark to bright. Equal steps look equal, also to the colour-blind."""
COUNT = "cividis_r"
"""The colour map of counts on white paper, from bright to dark."""
SIGNED = "PuOr_r"
"""The colour map of values below and above zero."""

WIDTH = 12.0  # inches
DPI = 120
_LONGEST_NAME = 14


@dataclass(frozen=True)
class Drawing:
    """A figure, and texts about it as in `Picture`."""

    heading: str
    title: str
    description: str
    figure: Figure

    def png(self) -> bytes:
        """The contents of a PNG file, the same bytes for the same figure."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """Within this context, matplotlib draws with its own defaults and the settings below, not with the user's."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": "DejaVu Sans",  # comes with matplotlib
                "font.size": 13,
                "text.color": INK,
                "text.parse_math": False,  # a class may be called $
                "axes.edgecolor": GREY,
                "axes.labelcolor": INK,
                "axes.spines.right": False,
                "axes.spines.top": False,
                "axes.grid": True,
                "axes.axisbelow": True,
                "grid.color": FAINT,
                "lines.linewidth": 2.5,
                "xtick.color": GREY,
                "ytick.color": GREY,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "image.interpolation": "nearest",
            }
        )
        yield


def drawable(names: Sequence[str]) -> list[str]:
    """The names of classes for a picture: cut off if long, or the label if the font lacks a character."""
    known = get_font(findfont("DejaVu Sans")).get_charmap()
    return [
        (name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…")
        if name and all(ord(character) in known for character in name)
        else str(label)
        for label, name in enumerate(names)
    ]


def page(title: str, subtitle: str, height: float) -> Figure:
    """A figure `WIDTH` inches wide, with a title at the top left; `add_axes` adds axes below it."""
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    size = min(22, 22 * 52 / len(title))
    figure.text(0.3 / WIDTH, 1 - 0.5 / height, title, fontsize=size, fontweight="bold", va="baseline")
    figure.text(0.3 / WIDTH, 1 - 0.87 / height, subtitle, fontsize=13, color=GREY, va="baseline")
    return figure


TOP = 1.55
"""Inches at the top of a page for the title, the subtitle, and the headings of the axes."""


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Add axes at a position in inches from the top left of the page."""
    total = figure.get_figheight()
    return figure.add_axes((left / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total))


def mosaic(images: NDArray[Any], corners: Sequence[tuple[int, int]], side: int) -> NDArray[np.float32]:
    """Put images (n, height, width) as squares of `side` pixels at (top, left). NaN, not drawn, fills the gaps."""
    tops, lefts = np.array(corners).T
    canvas = np.full((tops.max() + side, lefts.max() + side), np.nan, np.float32)
    rows, columns = (np.arange(side) * extent // side for extent in images.shape[1:])
    for image, (top, left) in zip(images[:, rows[:, None], columns], corners, strict=True):
        canvas[top : top + side, left : left + side] = image
    return canvas
