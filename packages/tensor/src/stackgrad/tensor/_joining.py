"""Functions of several tensors, beside `concatenate` and `stack`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ._create import concatenate
from ._shape import broadcast_shapes

if TYPE_CHECKING:
    from ._tensor import Tensor


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """`tensors` joined along `dim`: `concatenate`. Those of shape (0,) are left out, whatever the others' shapes."""
    kept = [x for x in tensors if x.shape != (0,)]
    return concatenate(kept or tensors, dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the second dimension, or along the only one."""
    given = [x.reshape(1) if not x.ndim else x for x in tensors]
    return concatenate(given, 0 if given and given[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """Joined along the first dimension; those of one dimension, or none, are rows."""
    return concatenate([x.reshape(1, -1) if x.ndim < 2 else x for x in tensors], 0)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Views of one shape, with which all `tensors` broadcast."""
    shape = broadcast_shapes(*[x.shape for x in tensors])
    return tuple([x.expand(shape) for x in tensors])


__all__: list[str] = ["broadcast_tensors", "cat", "hstack", "vstack"]
