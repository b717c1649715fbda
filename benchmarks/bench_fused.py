"""Fused functions: activations, a loss with its mean, and a formula of operands that broadcast."""

from __future__ import annotations

from functools import partial

from stackgrad import nn
from stackgrad.tensor import Tensor, fuse, grad

from ._operands import normal
from ._suite import BACKENDS, Work, precompiled, timed
from ._values import SHAPES

ACTIVATIONS = ("gelu", "silu", "softplus", "mish")
setup_cache = precompiled(__name__)


@fuse
def chain(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Six operations, whose gradients for the row and the column are summed in the kernel."""
    return ((x * row + column).tanh() * row - x).sigmoid()


@timed(
    op=(*ACTIVATIONS, "smooth_l1_loss", "chain"),
    size=("1e3", "1e6"),
    direction=("forward", "backward"),
    backend=BACKENDS,
)
def time_fused(op: str, size: str, direction: str, backend: str) -> Work:
    """float32; backward is forward and the gradients of all operands."""
    rows, columns = SHAPES[size]
    shapes: list[tuple[int, ...]] = [(rows, columns)]
    if op == "chain":
        shapes += [(columns,), (rows, 1)]
    elif op == "smooth_l1_loss":
        shapes *= 2
    function = chain if op == "chain" else getattr(nn.functional, op)
    operands = [normal(*shape, backend=backend, seed=i, requires_grad=True) for i, shape in enumerate(shapes)]
    if direction == "forward":
        return partial(function, *[x.detach() for x in operands])
    g = None if op == "smooth_l1_loss" else normal(rows, columns, backend=backend, seed=9)
    return lambda: grad(function(*operands), operands, g)
