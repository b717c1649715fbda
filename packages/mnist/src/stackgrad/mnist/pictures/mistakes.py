"""The images that the model got most wrong."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ._picture import Shown
from ._style import FAINT, GREY, TOP, WIDTH, Drawing, drawable, mosaic, page, place

_COLUMNS, _ROWS = 8, 3
_SIDE, _GAP = 56, 8  # pixels of an image, and between two
_COLUMN, _ROW = _SIDE + _GAP, _SIDE + 30  # from one to the next


def most_wrong(labels: NDArray[np.uint8], chances: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The indices of the images that were taken for another class, the least chance of the right one first.

    Args:
        labels: (n,).
        chances: the probability of each class, (n, classes).
        count: how many at most.
    """
    wrong = np.flatnonzero(chances.argmax(axis=1) != labels)
    return wrong[np.argsort(chances[wrong, labels[wrong]], kind="stable")][:count]


def draw(shown: Shown) -> Drawing:
    """The images that were read wrongly, those with the least chance of the right class first, and what they were
    taken for. Where none was wrong, the images of which the model was least sure."""
    split, chances, names = shown.test, shown.probabilities, shown.names
    guesses, short = chances.argmax(axis=1), drawable(names)
    chosen = most_wrong(split.labels, chances, _COLUMNS * _ROWS)
    errors = int((guesses != split.labels).sum())
    which = "the only one" if errors == 1 else "all of them" if errors <= len(chosen) else f"the worst {len(chosen)}"
    title = f"{errors:,} of {len(split):,} read wrongly: {which}"
    subtitle = "What it is → what it was taken for, and how sure the model was of that."
    if not errors:
        chosen = np.argsort(chances.max(axis=1), kind="stable")[: _COLUMNS * _ROWS]
        title = f"All {len(split):,} read rightly: the {len(chosen)} it was least sure of"
        subtitle = "What it is, and how sure the model was."

    rows = -(-len(chosen) // _COLUMNS)
    height = rows * _ROW * (WIDTH - 0.6) / (_COLUMNS * _COLUMN - _GAP)
    figure = page(title, subtitle, TOP - 0.3 + height)
    axes = place(figure, 0.3, TOP - 0.3, WIDTH - 0.6, height)
    corners = [(k // _COLUMNS * _ROW, k % _COLUMNS * _COLUMN) for k in range(len(chosen))]
    axes.imshow(mosaic(split.images[chosen], corners, _SIDE), cmap="gray_r", vmin=0, vmax=255)
    axes.set(xlim=(-0.5, _COLUMNS * _COLUMN - _GAP - 0.5), ylim=(rows * _ROW - 0.5, -0.5))
    axes.axis("off")
    captions = [f"{short[split.labels[i]]} → {short[guesses[i]]}" if errors else short[split.labels[i]] for i in chosen]
    size = 16
    if max(map(len, captions)) > 7:
        captions, size = [caption.replace(" → ", "\n→ ") for caption in captions], 10
    for index, (top, left), caption in zip(chosen, corners, captions, strict=True):
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), _SIDE, _SIDE, fill=False, edgecolor=FAINT))
        middle, below = left + _SIDE / 2, top + _SIDE
        axes.text(middle, below + 7, caption, ha="center", va="center", fontweight="bold", fontsize=size)
        sure = f"{chances[index, guesses[index]]:.1%}"
        axes.text(middle, below + 18, sure, ha="center", va="center", fontsize=11, color=GREY)

    told = "; ".join(
        f"{names[split.labels[i]]} taken for {names[guesses[i]]} ({chances[i, guesses[i]]:.1%})" for i in chosen
    )
    return Drawing("What it got most wrong", title, f"{title}. " + (f"In order: {told}." if errors else ""), figure)
