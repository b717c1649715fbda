"""Functions of several tensors, in addition to `concatenate` and `stack`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import _ops
from ._checks import expect_tensors
from ._create import concatenate, dim_or_axis, expect_several
from ._shape import broadcast_shapes, normalize_dim
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


def cat(tensors: Sequence[Tensor], dim: int | None = None, *, axis: int | None = None) -> Tensor:
    """`tensors` joined along `dim` (or `axis`), 0 by default: `concatenate`. Tensors of shape (0,) are ignored.

    >>> cat([tensor([1, 2]), tensor([3])])
    tensor([1, 2, 3])
    """
    try:
        kept = [x for x in tensors if x.shape != (0,)] or tensors
        ndim = kept[0].ndim
    except (AttributeError, IndexError, KeyError, TypeError):
        expect_several("cat", tensors)
        raise
    if type(tensors) is not list and isinstance(tensors, Value):
        expect_several("cat", tensors)
    if not ndim:
        raise ValueError("cat of tensors without dimensions: expected at least one; use stack")
    return _ops.concatenate(kept, normalize_dim(dim_or_axis("cat", dim, axis), ndim))


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """`tensors` joined along the second dimension, or along the only one.

    >>> hstack([tensor([1, 2]), tensor([3])])
    tensor([1, 2, 3])
    """
    try:
        given = [x.reshape(1) if not x.ndim else x for x in tensors]
    except (AttributeError, TypeError):
        expect_several("hstack", tensors)
        raise
    return concatenate(given, 0 if given and given[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """`tensors` joined along the first dimension; a tensor with at most one dimension counts as a row.

    >>> vstack([tensor([1, 2]), tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    try:
        return concatenate([x.reshape(1, -1) if x.ndim < 2 else x for x in tensors], 0)
    except (AttributeError, TypeError):
        expect_several("vstack", tensors)
        raise


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Views of `tensors`, expanded to the shape that they broadcast to.

    >>> [x.shape for x in broadcast_tensors(ones(2, 1), ones(3))]
    [(2, 3), (2, 3)]
    """
    for x in tensors:
        expect_tensors("broadcast_tensors", tensor=x)
    shape = broadcast_shapes(*[x.shape for x in tensors])
    return tuple([x.expand(shape) for x in tensors])


__all__: list[str] = ["broadcast_tensors", "cat", "hstack", "vstack"]
