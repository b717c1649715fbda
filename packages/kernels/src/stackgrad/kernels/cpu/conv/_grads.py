"""The first gradients of a convolution, at once: what is masked by a relu is brought to where both read it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from stackgrad.tensor import REDUCTIONS, Window
from stackgrad.tensor._shape import NO_PADDING

from .._reduce import reduce
from ._image import Images, masked_and_summed
from ._input_grad import conv2d_input_grad, flipped_window
from ._weight_grad import conv2d_weight_grad

Array = NDArray[Any]


def conv2d_grads(
    g: Array,
    x: Images,
    weight: Array,
    out: Array | None,
    window: Window,
    groups: int,
    needs: tuple[bool, bool, bool],
) -> tuple[Array | None, Array | None, Array | None]:
    """See Backend.conv2d_grads."""
    size, total = (x.shape[2], x.shape[3]), None
    passed: Images = g
    if out is not None:
        around = flipped_window(g.shape, weight.shape[1], size, window, groups) if needs[0] else None
        passed, total = masked_and_summed(g, out, around.padding if around else NO_PADDING)
    elif needs[2]:
        total = reduce(REDUCTIONS["sum"], g, (0, 2, 3))
    return (
        conv2d_input_grad(passed, weight, size, window, groups) if needs[0] else None,
        conv2d_weight_grad(x, passed, window, groups) if needs[1] else None,
        total if needs[2] else None,
    )
