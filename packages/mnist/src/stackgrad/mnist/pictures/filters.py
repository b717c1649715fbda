"""The filters that the first two convolutions have learned."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from stackgrad import nn

from ._picture import Shown
from ._style import GREY, SIGNED, TOP, VERMILLION, Drawing, add_axes, mosaic, page

_SIDE, _GAP = 60, 6  # pixels: a filter, between filters
_LARGEST = 0.66  # inches of a filter of the second convolution, including its gap
_LEFT, _RIGHT, _HIGHEST = 3.0, 7.3, 7.5  # inches


def draw(shown: Shown) -> Drawing:
    """Draw the filters of the first convolution, and beside them the filters of the second, a row per input channel."""
    first, second = [m.weight.detach().numpy() for m in shown.model.modules() if isinstance(m, nn.Conv2d)][:2]
    made, seen, *_ = second.shape
    most = int(np.abs(second).sum(axis=(0, 2, 3)).argmax())
    title = f"Convolution 2 gives most weight to channel {most + 1} of convolution 1"
    subtitle = "Framed: that channel. Orange: positive weights, purple: negative, white: 0; one scale per convolution."

    cell = min(_LARGEST, _RIGHT / made, _HIGHEST / seen)
    # Choose the columns of the first panel so that its filters are as large as possible.
    columns = max(range(1, len(first) + 1), key=lambda n: min(_LEFT / n, seen * cell / -(-len(first) // n)))
    large = min(_LEFT / columns, seen * cell / -(-len(first) // columns))
    figure = page(title, subtitle, TOP + seen * cell + 0.3)
    left = _draw_panel(figure, 0.3, large, first[:, 0], columns, f"convolution 1: {len(first)} of {_kernel(first)}")
    right = _draw_panel(
        figure,
        0.3 + _LEFT + 0.9,
        cell,
        second.swapaxes(0, 1).reshape(-1, *second.shape[2:]),
        made,
        f"convolution 2: one column for each of {made} channels, {_kernel(second)}",
    )
    middle = [i * (_SIDE + _GAP) + _SIDE / 2 for i in range(seen)]
    right.set_yticks(middle, [str(i + 1) for i in range(seen)], fontsize=min(14, 40 * cell))
    right.set_ylabel("channel of convolution 1")
    if seen == len(first):  # true unless the second convolution has groups
        _outline(right, 0, most, made, 1)
        _outline(left, most % columns, most // columns, 1, 1)
    description = (
        f"{title}. Weights of {len(first)} filters of {_kernel(first)} that take the image, and of {made} times {seen} "
        f"filters of {_kernel(second)} that take their output. {subtitle}"
    )
    return Drawing("What the convolutions learned", title, description, figure)


def _draw_panel(
    figure: Figure, left: float, cell: float, filters: NDArray[np.float32], columns: int, heading: str
) -> Axes:
    """Draw filters (n, height, width) row by row, each `cell` inches wide including the gap after it."""
    corners = [(i // columns * (_SIDE + _GAP), i % columns * (_SIDE + _GAP)) for i in range(len(filters))]
    canvas = mosaic(filters, corners, _SIDE)
    scale = cell / (_SIDE + _GAP)
    axes = add_axes(figure, left, TOP, canvas.shape[1] * scale, canvas.shape[0] * scale)
    most = float(np.abs(filters).max()) or 1.0
    axes.imshow(canvas, cmap=SIGNED, vmin=-most, vmax=most)
    axes.set_facecolor(GREY)
    axes.set_title(heading, loc="left", fontsize=14)
    axes.set(xticks=[], yticks=[])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes


def _outline(axes: Axes, column: int, row: int, columns: int, rows: int) -> None:
    """Draw a frame around filters of a panel."""
    cell, out = _SIDE + _GAP, _GAP / 2
    corner = (column * cell - out - 0.5, row * cell - out - 0.5)
    frame = Rectangle(corner, columns * cell, rows * cell, fill=False, edgecolor=VERMILLION, linewidth=3, clip_on=False)
    axes.add_patch(frame)


def _kernel(weights: NDArray[np.float32]) -> str:
    return "x".join(map(str, weights.shape[2:]))
