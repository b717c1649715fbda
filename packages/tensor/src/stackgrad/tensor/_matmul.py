"""The matrix product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._autograd import BuiltinFunction, Context
from ._dtypes import bool_, promote
from ._ops import cast, common_backend, expand
from ._shape import broadcast_shapes

if TYPE_CHECKING:
    from ._tensor import Tensor


class MatMul(BuiltinFunction):
    """(*batch, n, k) times (*batch, k, m), the batches equal."""

    @staticmethod
    def forward(ctx: Context, a: Tensor, b: Tensor) -> Tensor:
        ctx.save(a, b)
        return a.new(a.backend.matmul(a.data, b.data))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor | None, ...]:
        a, b = ctx.saved
        return (
            MatMul.apply(g, b.transpose(-1, -2)) if ctx.needs[0] else None,
            MatMul.apply(a.transpose(-1, -2), g) if ctx.needs[1] else None,
        )


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """The matrix product; a 1-d operand is a row (left) or a column (right), and leading dimensions broadcast.

    Raises ValueError for shapes that do not match, TypeError for bools.

    >>> linalg.matmul(ones(2, 3), ones(3, 4)).shape
    (2, 4)
    """
    common_backend("matmul", a, b)
    if not a.ndim or not b.ndim:
        raise ValueError(f"matmul of shapes {a.shape} and {b.shape}: expected one dimension or more on both sides")
    dtype = promote([a.dtype, b.dtype])
    if dtype == bool_:
        raise TypeError("matmul of bools: expected floats or integers; convert one with .astype(int64)")
    a, b = cast(a, dtype), cast(b, dtype)
    left, right = (a.unsqueeze(0) if a.ndim == 1 else a), (b.unsqueeze(1) if b.ndim == 1 else b)
    if left.shape[-1] != right.shape[-2]:
        raise ValueError(
            f"matmul of shapes {a.shape} and {b.shape}: inner extents {left.shape[-1]} and {right.shape[-2]} differ"
        )
    if left.ndim > 2 or right.ndim > 2:
        batch = broadcast_shapes(left.shape[:-2], right.shape[:-2])
        left, right = expand(left, (*batch, *left.shape[-2:])), expand(right, (*batch, *right.shape[-2:]))
    out = MatMul.apply(left, right)
    out = out.squeeze(-1) if b.ndim == 1 else out
    return out.squeeze(-2 if b.ndim > 1 else -1) if a.ndim == 1 else out
