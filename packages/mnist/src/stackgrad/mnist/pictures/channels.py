"""Every channel of the first two convolutions, for a few images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ..runs.trace import activations
from ._picture import Shown
from ._style import AMOUNT, GREY, TOP, WIDTH, Drawing, add_axes, drawable, mosaic, page

_SIDE, _GAP, _BETWEEN = 56, 4, 24  # pixels: a channel, between channels, between layers
_MOST_COLUMNS = 17  # of both layers together
_MOST_IMAGES = 6
_LABEL, _HEIGHT = 0.5, 7.4  # inches: for the name of the class, and at most for all images together


def one_of_each(labels: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """The indices of the first image of each of `count` classes, spread evenly over the classes that occur."""
    first = np.unique(labels, return_index=True)[1].astype(np.int64)
    return first[np.linspace(0, len(first) - 1, min(count, len(first))).round().astype(np.int64)]


def draw(shown: Shown) -> Drawing:
    """Draw images of a few classes, and beside each the channels of the model's first two convolutions."""
    model, split, names = shown.model, shown.test, shown.names
    counts = [array.shape[1] for array in activations(model, split.images[:1])[:2]]
    # The channels of a layer take as many lines as they need to fit the page.
    lines = next(n for n in range(1, 1 + max(counts)) if sum(-(-count // n) for count in counts) <= _MOST_COLUMNS)
    sides = [lines * (_SIDE + _GAP) - _GAP, *(_SIDE for _ in counts)]
    columns = [1, *(-(-count // lines) for count in counts)]
    widths = [n * (side + _GAP) - _GAP for n, side in zip(columns, sides, strict=True)]
    inch = (sum(widths) + _BETWEEN * len(counts)) / (WIDTH - 0.6 - _LABEL)  # pixels per inch
    row = sides[0] + 3 * _GAP * lines

    chosen = one_of_each(split.labels, max(2, min(_MOST_IMAGES, int(_HEIGHT * inch / row))))
    images, labels = split.images[chosen], split.labels[chosen]
    layers = [images[:, None].astype(np.float32), *activations(model, images)[:2]]
    title = f"What two convolutions make of {_listed([drawable(names)[label] for label in labels])}"
    zeros = _listed([f"{(array == 0).mean():.0%} after convolution {n}" for n, array in enumerate(layers[1:], start=1)])
    subtitle = f"Dark is 0, bright is high, on one scale per layer. Zeros: {zeros}."
    figure = page(title, subtitle, TOP + (row * len(chosen) + sides[0] - row) / inch + 0.3)
    left = 0.3 + _LABEL
    for i, (array, width) in enumerate(zip(layers, widths, strict=True)):
        count, side = array.shape[1], sides[i]
        corners = [
            (image * row + c // columns[i] * (side + _GAP), c % columns[i] * (side + _GAP))
            for image in range(len(chosen))
            for c in range(count)
        ]
        canvas = mosaic(array.reshape(-1, *array.shape[2:]), corners, side)
        axes = add_axes(figure, left, TOP, width / inch, len(canvas) / inch)
        axes.imshow(canvas, cmap=AMOUNT if i else "gray_r", vmin=min(0, array.min()), vmax=_brightest(array))
        axes.set_title(f"convolution {i}: {count} channels" if i else "input", loc="left", fontsize=14)
        axes.axis("off")
        left += (width + _BETWEEN) / inch
        if not i:
            _draw_labels(axes, [drawable(names)[label] for label in labels], row, sides[0])
    description = (
        f"Every channel of the first two convolutions ({' and '.join(map(str, counts))} channels), for images of "
        f"{_listed([names[label] for label in labels])}. {subtitle}"
    )
    return Drawing("What the convolutions see", title, description, figure)


def _draw_labels(axes: Axes, names: list[str], row: int, high: int) -> None:
    """Write the names to the left of the inputs, long ones vertically."""
    for i, name in enumerate(names):
        size, angle = (16, 0) if len(name) < 4 else (10, 90)
        axes.text(-8, i * row + high / 2, name, ha="right", va="center", fontsize=size, rotation=angle, color=GREY)


def _brightest(array: NDArray[np.float32]) -> float:
    """The value to draw brightest. Only a few outliers are above it."""
    return float(np.quantile(array, 0.99)) or float(array.max()) or 1.0


def _listed(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
