"""Shapes: dimension indices, broadcasting, and the window that convolution and pooling slide over an image."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ._types import Shape


def normalize_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front. A shape without dimensions counts as having one.

    Raises IndexError if the shape has no such dimension, TypeError for anything but an integer.
    """
    if isinstance(dim, bool):
        raise TypeError(f"dim {dim}: expected an integer")
    try:
        dim = operator.index(dim)
    except TypeError:
        raise TypeError(f"dim {dim!r}: expected an integer") from None
    many = ndim or 1
    if not -many <= dim < many:
        raise IndexError(f"dim {dim} is out of range for {ndim} dimensions: expected {-many} to {many - 1}")
    return dim % many


def normalize_dims(dim: int | Sequence[int] | None, ndim: int) -> Shape:
    """`dim` (one, several or None for all) as ascending indices. Raises ValueError for one that occurs twice."""
    if dim is None:
        return tuple(range(ndim))
    if not isinstance(dim, Sequence):
        return (normalize_dim(dim, ndim),)
    dims = sorted(normalize_dim(d, ndim) for d in dim)
    if len(set(dims)) != len(dims):
        raise ValueError(f"dim {tuple(dim)} names a dimension twice")
    return tuple(dims)


def extents(shape: tuple[Any, ...], size: Sequence[int] | None = None) -> Shape:
    """The shape passed as f(2, 3), f((2, 3)) or f(size=(2, 3)). Raises TypeError for anything but integers."""
    if size is not None:
        if shape:
            raise TypeError(f"both a shape, {shape}, and size={size}: they mean the same; pass one")
        shape = (size,)
    given = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    try:
        return tuple([operator.index(extent) for extent in given])
    except TypeError:
        raise TypeError(f"shape {given!r}: expected integers") from None


@lru_cache(1024)
def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that all of `shapes` expand to, aligned at the right. Raises ValueError if there is none."""
    if shapes.count(shapes[0]) == len(shapes):
        return shapes[0]
    ndim = max(map(len, shapes))
    out = [1] * ndim
    for shape in shapes:
        for i, extent in enumerate(shape, ndim - len(shape)):
            if extent != 1:
                if out[i] not in (1, extent):
                    given = " and ".join(map(str, shapes))
                    raise ValueError(f"shapes {given} do not broadcast: dimension {i - ndim} is {out[i]} and {extent}")
                out[i] = extent
    return tuple(out)


def checked(shape: Sequence[int]) -> Shape:
    """`shape` as a tuple. Raises ValueError for a negative extent, TypeError for anything but integers."""
    if type(shape) is tuple and all([type(extent) is int and extent >= 0 for extent in shape]):  # noqa: C419 - faster
        return shape
    shape = extents((shape,))
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {shape} is not valid: expected extents of 0 or more")
    return shape


def resolve_shape(shape: Sequence[int], size: int) -> Shape:
    """`shape` with a -1, if any, replaced so that it holds `size` elements. Raises ValueError if it cannot."""
    known = 1
    for extent in shape:
        known *= extent if extent != -1 else 1
    missing = shape.count(-1)
    if missing > 1 or any(extent < -1 for extent in shape):
        raise ValueError(f"shape {tuple(shape)} is not valid: extents are 0 or more, and one may be -1")
    if missing and known > 0 and size % known == 0:
        return tuple(size // known if extent == -1 else extent for extent in shape)
    if missing or known != size:
        raise ValueError(f"shape {tuple(shape)} does not hold {size} elements")
    return tuple(shape)


def strides_in_order(shape: Shape) -> Shape:
    """The strides, in elements, of an array in C order without gaps."""
    strides, stride = [], 1
    for extent in reversed(shape):
        strides.append(stride)
        stride *= max(extent, 1)
    return tuple(reversed(strides))


def reshaped_strides(old: Shape, strides: Shape, new: Shape) -> Shape | None:
    """The strides of a view in shape `new` of memory in shape `old`, of equal size; None if that needs a copy."""
    if 0 in old:
        return strides_in_order(new)
    runs: list[tuple[int, int]] = []  # extents and strides, with contiguous neighbours merged
    for extent, stride in zip(old, strides, strict=True):
        if extent == 1:
            continue
        if runs and runs[-1][1] == stride * extent:
            runs[-1] = (runs[-1][0] * extent, stride)
        else:
            runs.append((extent, stride))
    found: list[int] = []
    left, stride = runs.pop() if runs else (1, 1)
    for extent in reversed(new):
        if extent > 1 and left == 1 and runs:
            left, stride = runs.pop()
        if left % extent:
            return None
        found.append(stride)
        left, stride = left // extent, stride * extent
    return tuple(reversed(found))


def reduced_shape(shape: Shape, dims: Shape) -> Shape:
    """`shape` with each of `dims` kept as 1."""
    return tuple(1 if i in dims else extent for i, extent in enumerate(shape))
