"""The confusion matrix and the most common confusions."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ._picture import Shown
from ._style import BLUE, COUNT, FAINT, GREY, INK, PAPER, TOP, VERMILLION, WIDTH, Drawing, add_axes, drawable, page

_LISTED = 10
_MOST_NUMBERED, _MOST_SHARES = 50, 30  # with more classes, the cells are too small for counts and for percentages


def most_common(counts: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """The confusions as (class, predicted, count), most common first, and equal ones in the order of the classes."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[: np.count_nonzero(wrong)]
    return [(int(i) // len(counts), int(i) % len(counts), int(wrong.flat[i])) for i in order]


def draw(shown: Shown) -> Drawing:
    """Draw the confusion matrix, and beside it the most common confusions. Classes that do not occur are left out."""
    counts, names = shown.counts, shown.names
    total, correct = int(counts.sum()), int(np.trace(counts))
    pairs, short = most_common(counts)[:_LISTED], drawable(names)
    title = "No test image is misclassified"
    if pairs:
        title = f"{short[pairs[0][0]]} mistaken for {short[pairs[0][1]]}: {_times(pairs[0][2])}"
    subtitle = (
        f"{correct:,} of {total:,} test images correct ({correct / total:.2%}), {total - correct:,} misclassified."
    )

    kept = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    side = 5.4 if len(kept) <= 12 else 7.0
    long = max(len(short[k]) for k in kept)
    left, below = 0.75 + 0.09 * long, (0.4 if long <= 2 else 0.3 + 0.08 * long)
    figure = page(title, subtitle, TOP + side + below + 0.6)
    matrix = add_axes(figure, left, TOP, side, side)
    _draw_matrix(matrix, counts[np.ix_(kept, kept)], [short[k] for k in kept], side)
    if pairs:
        start = left + side + 1.0 + 0.11 * max(len(short[a]) + len(short[b]) for a, b, _ in pairs)
        _draw_list(add_axes(figure, start, TOP, WIDTH - start - 0.7, 0.3 + 0.48 * len(pairs)), pairs, short)

    listed = "; ".join(f"{names[a]} mistaken for {names[b]} {_times(n)}" for a, b, n in pairs)
    description = f"Confusion matrix of {len(kept)} classes. {subtitle} Most common confusions: {listed or 'none'}."
    return Drawing("Which classes it confuses", title, description, figure)


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _draw_matrix(axes: Axes, counts: NDArray[np.int64], names: list[str], side: float) -> None:
    """Draw errors in colour on white and, on the diagonal in grey, the percentage that is correct."""
    n = len(counts)
    wrong = np.ma.masked_equal(np.where(np.eye(n, dtype=bool), 0, counts), 0)
    most = int(wrong.max()) if wrong.count() else 1
    axes.imshow(np.where(np.eye(n, dtype=bool), 0.0, np.nan), cmap="gray", vmin=-8.5, vmax=1)
    axes.imshow(wrong, cmap=COUNT, vmin=0, vmax=most)
    point = 72 * side / n  # points of a cell
    if n <= _MOST_NUMBERED:
        for i, j in np.argwhere(wrong.filled(0)).tolist():
            colour = PAPER if counts[i, j] > most / 2 else INK
            size = min(13, 0.62 * point)
            axes.text(j, i, f"{counts[i, j]:,}", ha="center", va="center", fontsize=size, color=colour)
    if n <= _MOST_SHARES:
        share = np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
        for i in np.flatnonzero(counts.sum(axis=1)).tolist():
            text = f"{share[i]:.1%}" if n <= 12 else f"{share[i]:.0%}"
            axes.text(i, i, text, ha="center", va="center", fontsize=min(10, 0.36 * point), color=GREY)
    if wrong.count():
        row, column = divmod(int(wrong.filled(0).argmax()), n)
        corner, width = (column - 0.5, row - 0.5), min(3, point / 5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=VERMILLION, linewidth=width, zorder=3))
    size = min(13, 0.75 * point)
    upright = 0.7 * size * max(map(len, names)) < point
    axes.set_xticks(range(n), names, fontsize=size, rotation=0 if upright else 90)
    axes.set_yticks(range(n), names, fontsize=size)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(False)
    axes.grid(which="minor")
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color(FAINT)
    axes.set(xlabel="predicted", ylabel="true")
    heading = "All test images" + ("; on the diagonal: percentage correct" if n <= _MOST_SHARES else "")
    axes.set_title(heading, loc="left", fontsize=14)


def _draw_list(axes: Axes, pairs: list[tuple[int, int, int]], names: list[str]) -> None:
    counts = [count for *_, count in pairs]
    bars = axes.barh(range(len(pairs)), counts, color=[VERMILLION] + [BLUE] * (len(pairs) - 1), height=0.62)
    axes.bar_label(bars, [f"{count:,}" for count in counts], padding=5)
    axes.set_yticks(range(len(pairs)), [f"{names[a]} → {names[b]}" for a, b, _ in pairs])
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.invert_yaxis()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_title("Most common", loc="left", fontsize=14)
