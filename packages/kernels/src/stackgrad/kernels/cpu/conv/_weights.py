"""Weights in the order in which tiles read them: blocks of columns, one or two vectors wide, row by row.

    weight (o, c, kh, kw)          panels (groups, blocks, kh, taps, inner, width), and after them the bias
                                   +-----------------+
                                   |o o o o o o o o  |  a tap of the first inner channel
                                   |o o o o o o o o  |  of the second
                                   |      ...        |

The columns are channels, repeated for each of some adjacent pixels whose windows are `shift` taps apart; outside the
kernel there are zeros. The memory is aligned to a cache line.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from stackgrad.tensor._types import HostArray as Array

from .._channels_last import fill_with, in_order
from .._kernel import kernel, named
from .._memory import maker
from .._parallel import STRIDED
from .._pointers import LINE, Memory, from_line, load, store

# The strides in the weight from one group, row, tap of a row, inner channel and column to the next.
Strides = namedtuple("Strides", "group row tap inner column")

# The extents of the panels, and of their columns: `used` ones, with `channels` channels for each pixel.
Panels = namedtuple("Panels", "groups rows taps inner channels used width shift kernel biased")


@kernel(lambda T: (Memory(T), Memory(T), Memory(T), named(Strides), named(Panels)))
def _arrange(line, weight, bias, out, step, panels):
    """Arrange the inner channels of one tap in one block, or one block of the bias."""
    out = from_line(out)
    width, channels, taps = panels.width, panels.channels, panels.rows * panels.taps
    blocks = (panels.used + width - 1) // width
    of_weights = panels.groups * blocks * taps
    panel = line // taps if line < of_weights else line - of_weights
    group, first = panel // blocks, panel % blocks * width
    count = min(width, panels.used - first)
    if line >= of_weights:
        at = (of_weights * panels.inner + panel) * width
        for o in range(width):
            if panels.biased and o < count:
                store(out, at + o, load(bias, group * channels + (first + o) % channels))
            else:
                store(out, at + o, 0)
        return
    tap = line % panels.taps + first // channels * panels.shift
    source = group * step.group + line // panels.taps % panels.rows * step.row
    source += tap * step.tap + first % channels * step.column
    to_next = panels.shift * step.tap - channels * step.column
    at = line * panels.inner * width
    for _ in range(panels.inner):
        i, channel, at_tap = source, first % channels, tap
        if panels.used == channels:  # of one pixel: all taps are inside the kernel
            for o in range(count):
                store(out, at + o, load(weight, i))
                i += step.column
        else:
            o = 0
            while o < count:  # tap by tap
                many = min(channels - channel, count - o)
                if 0 <= at_tap < panels.kernel:
                    for j in range(many):
                        store(out, at + o + j, load(weight, i + j * step.column))
                else:
                    fill_with(out, at + o, at + o + many, 0)
                i, o = i + many * step.column + to_next, o + many
                channel, at_tap = 0, at_tap + panels.shift
        for o in range(count, width):
            store(out, at + o, 0)
        source, at = source + step.inner, at + width


def arranging(dtype: np.dtype[Any], step: Strides, panels: Panels) -> Callable[[Array, Array | None], Array]:
    """A function that arranges weights with these strides, and their bias."""
    blocks, taps = panels.groups * -(-panels.used // panels.width), panels.rows * panels.taps
    size, lines = blocks * (taps * panels.inner + 1) * panels.width, blocks * (taps + 1)
    make, launch, bare = maker((size + LINE // dtype.itemsize,), dtype), _arrange[dtype], panels._replace(biased=0)

    def run(weight: Array, bias: Array | None) -> Array:
        out = make()
        if size:
            operands = (
                (weight, weight, out, step, bare) if bias is None else (weight, in_order(bias), out, step, panels)
            )
            launch(lines, size * STRIDED, operands)
        return out

    return run
