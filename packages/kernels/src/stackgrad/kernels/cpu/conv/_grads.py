"""The gradients of a convolution: g, masked by a relu if there is one, is prepared once for all of them.

One pass masks, sums and pads it, unless the pool after the relu did so as it spread its own gradient (`Summed`).
"""

from __future__ import annotations

from stackgrad.tensor import REDUCTIONS, Window
from stackgrad.tensor._types import HostArray as Array
from stackgrad.tensor._window import NO_PADDING

from .._reduce import reduce
from ._image import Images, Summed, masked_and_summed
from ._input_grad import conv2d_input_grad, flipped_window
from ._weight_grad import conv2d_weight_grad


def conv2d_grads(
    g: Array | Summed,
    x: Images,
    weight: Array,
    out: Array | None,
    window: Window,
    groups: int,
    needs: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """See Backend.conv2d_grads."""
    size = x.shape[2], x.shape[3]
    if out is not None and not isinstance(g, Summed):
        around = flipped_window(g.shape, weight.shape[1], size, window, groups) if needs[0] else None
        g = masked_and_summed(g, out, around.padding if around else NO_PADDING)
    values, sums, dims = (*g, (0,)) if isinstance(g, Summed) else (g, g, (0, 2, 3))
    return (
        conv2d_input_grad(values, weight, size, window, groups) if needs[0] else None,
        conv2d_weight_grad(x, values, window, groups) if needs[1] else None,
        reduce(REDUCTIONS["sum"], sums, dims) if needs[2] else None,
    )
