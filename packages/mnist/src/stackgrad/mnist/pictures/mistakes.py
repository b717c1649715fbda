"""The worst mistakes of the model."""

from __future__ import annotations

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ._picture import Shown
from ._style import FAINT, GREY, TOP, WIDTH, Drawing, add_axes, drawable, mosaic, page

_COLUMNS, _ROWS = 8, 3
_SIDE, _GAP = 56, 8  # pixels: an image, between images
_COLUMN, _ROW = _SIDE + _GAP, _SIDE + 30  # pixels from one image to the next


def most_wrong(labels: NDArray[np.uint8], probabilities: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The indices of misclassified images, sorted by the probability of the correct class, lowest first.

    Args:
        labels: (n,).
        probabilities: (n, classes).
        count: the largest count of indices.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(probabilities[wrong, labels[wrong]], kind="stable")][:count]


def draw(shown: Shown) -> Drawing:
    """Draw misclassified images, those with the lowest probability of the correct class first. If all are correct, draw
    the images that the model was least sure of."""
    split, probabilities, names = shown.test, shown.probabilities, shown.names
    guesses, short = probabilities.argmax(axis=1), drawable(names)
    chosen = most_wrong(split.labels, probabilities, _COLUMNS * _ROWS)
    errors = int((guesses != split.labels).sum())
    which = "the only one" if errors == 1 else "all of them" if errors <= len(chosen) else f"the worst {len(chosen)}"
    title = f"{errors:,} of {len(split):,} misclassified: {which}"
    subtitle = "True class → predicted class, and how sure the model was."
    if not errors:
        chosen = np.argsort(probabilities.max(axis=1), kind="stable")[: _COLUMNS * _ROWS]
        title = f"All {len(split):,} correct: the {len(chosen)} it was least sure of"
        subtitle = "The class, and how sure the model was."

    rows = -(-len(chosen) // _COLUMNS)
    height = rows * _ROW * (WIDTH - 0.6) / (_COLUMNS * _COLUMN - _GAP)
    figure = page(title, subtitle, TOP - 0.3 + height)
    axes = add_axes(figure, 0.3, TOP - 0.3, WIDTH - 0.6, height)
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
        sure = f"{probabilities[index, guesses[index]]:.1%}"
        axes.text(middle, below + 18, sure, ha="center", va="center", fontsize=11, color=GREY)

    listed = "; ".join(
        f"{names[split.labels[i]]} mistaken for {names[guesses[i]]} ({probabilities[i, guesses[i]]:.1%})"
        for i in chosen
    )
    return Drawing("Its worst mistakes", title, f"{title}. " + (f"In order: {listed}." if errors else ""), figure)
