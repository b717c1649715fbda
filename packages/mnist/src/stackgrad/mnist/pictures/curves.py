"""Loss and accuracy during training."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from ..runs.metrics import series
from ._picture import Shown
from ._style import BLUE, ORANGE, TOP, VERMILLION, Drawing, add_axes, page

_AVERAGED = 7  # lines of metrics.jsonl
_HEIGHT = 6.8  # inches


def smooth(values: NDArray[np.float64], width: int = _AVERAGED) -> NDArray[np.float64]:
    """The mean of each value and its neighbours, `width` values in all, fewer at the ends."""
    reach = width // 2
    return np.array([values[max(0, i - reach) : i + reach + 1].mean() for i in range(len(values))])


def draw(shown: Shown) -> Drawing:
    """Draw loss and accuracy over the epochs."""
    rows = shown.rows
    loss, test = series(rows, "loss")[1], series(rows, "test_accuracy")[1]
    steps = max((row["step"] for row in rows), default=1)
    epochs = max(1, int(max(series(rows, "epoch")[1], default=1)))
    found = [f"loss from {loss[0]:.2f} to {smooth(loss)[-1]:.3f}"] if len(loss) else []
    found += [f"test accuracy {test[-1]:.2%}"] if len(test) else []
    title = ", ".join(found).capitalize() or "Nothing was logged"
    subtitle = f"{steps:,} steps, {epochs} epoch{'s' * (epochs != 1)}. Dots: as logged; lines: smoothed."

    figure = page(title, subtitle, _HEIGHT)
    ends = []
    for left, key, heading in ((0.95, "loss", "Loss (cross-entropy)"), (6.85, "accuracy", "Accuracy")):
        axes = add_axes(figure, left, TOP, 4.9, _HEIGHT - TOP - 0.85)
        axes.set_title(heading, loc="left", fontsize=15)
        axes.set(xlabel="epoch", xlim=(0, epochs))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        ends += _draw_lines(axes, rows, key, epochs / steps)
        if key == "loss":
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        else:
            axes.set_ylim(_floor(rows), 1)
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g}%"))
        if len(axes.get_legend_handles_labels()[1]) > 1:
            axes.legend(frameon=False, loc="upper right" if key == "loss" else "lower right")
    description = f"Curves of loss and accuracy. {title}. {subtitle} At the end: {'; '.join(ends) or 'nothing'}."
    return Drawing("How it learned", title, description, figure)


def _draw_lines(axes: Axes, rows: list[dict[str, Any]], key: str, epochs_per_step: float) -> list[str]:
    """Draw the lines of loss or accuracy, which differ in shape as well as in colour. Returns the last value of each,
    in words."""
    ends = []
    form = ".3f" if key == "loss" else ".2%"
    for prefix, images in (("", "training images"), ("validation_", "held-out images"), ("test_", "test images")):
        steps, values = series(rows, prefix + key)
        if not len(steps):
            continue
        epochs, values = steps * epochs_per_step, np.clip(values, 1e-6, 1e6)  # a log axis has no 0
        if not prefix:
            axes.plot(epochs, values, ".", color=BLUE, alpha=0.35, markersize=6)
            values = smooth(values)
            axes.plot(epochs, values, color=BLUE, label=images)
        elif prefix == "validation_":
            axes.plot(epochs, values, "o--", color=ORANGE, markersize=8, clip_on=False, zorder=3, label=images)
        else:
            label = f"{images}: {values[-1]:.2%}"
            axes.plot(epochs, values, "D", color=VERMILLION, markersize=11, clip_on=False, zorder=4, label=label)
        ends.append(f"{key} on {images} {values[-1]:{form}}")
    return ends


def _floor(rows: list[dict[str, Any]]) -> float:
    """The start of the accuracy axis, so that the values after the first tenth of training fill it. On an axis from 0
    to 100 %, nobody could see an error of 1 %."""
    last = max((row["step"] for row in rows), default=1)
    later = [row for row in rows if row["step"] > last / 10]
    lines = (smooth(series(later, "accuracy")[1]), *(series(later, f"{p}_accuracy")[1] for p in ("validation", "test")))
    lowest = min((float(line.min()) for line in lines if len(line)), default=0.0)
    return next((low for low in (0.98, 0.95, 0.9, 0.8, 0.6) if lowest >= low), 0.0)
