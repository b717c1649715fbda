"""Shapes: dimension indices, broadcasting, and the window that convolution and pooling slide over an image."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

Shape = tuple[int, ...]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Dims = int | Sequence[int] | None

NO_PADDING: Padding = ((0, 0), (0, 0))


def normalize_dim(dim: int, ndim: int) -> int:
    """`dim` counted from the front. A shape without dimensions counts as having one.

    Raises IndexError if the shape has no such dimension, TypeError for anything but an integer.
    """
    if isinstance(dim, bool):
        raise TypeError(f"dim {dim}: expected an integer")
    dim, many = operator.index(dim), ndim or 1
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
    return tuple([operator.index(extent) for extent in given])


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
    """`shape` as a tuple. Raises ValueError for a negative extent."""
    if any(extent < 0 for extent in shape):
        raise ValueError(f"shape {tuple(shape)} is not valid: expected extents of 0 or more")
    return tuple(shape)


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


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], int) and isinstance(value[1], int)


class _Window(NamedTuple):
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = NO_PADDING
    dilation: Pair = (1, 1)


class Window(_Window):
    """A window that slides over the rows and columns of an image.

    Each field has one entry for the rows and one for the columns; `padding` holds (before, after) for each. Raises
    TypeError for entries of other types, ValueError for values out of range.

    >>> Window((3, 3), stride=(2, 2)).positions((7, 9))
    (3, 4)
    """

    __slots__ = ()

    def __new__(
        cls, kernel: Pair, stride: Pair = (1, 1), padding: Padding = NO_PADDING, dilation: Pair = (1, 1)
    ) -> Window:
        for name, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
            if not _is_pair(value):
                raise TypeError(f"{name} {value!r} is not valid: expected a pair of integers, for rows and columns")
            if min(value) < 1:
                raise ValueError(f"{name} {value} is not valid: expected 1 or more in each dimension")
        if not (isinstance(padding, tuple) and len(padding) == 2 and _is_pair(padding[0]) and _is_pair(padding[1])):
            raise TypeError(f"padding {padding!r} is not valid: expected (before, after) pairs for rows and columns")
        if min(padding[0] + padding[1]) < 0:
            raise ValueError(f"padding {padding} is not valid: expected 0 or more on each side")
        return super().__new__(cls, kernel, stride, padding, dilation)

    @property
    def span(self) -> Pair:
        """The height and width of the window with its dilation.

        >>> Window((3, 3), dilation=(2, 2)).span
        (5, 5)
        """
        return (self.kernel[0] - 1) * self.dilation[0] + 1, (self.kernel[1] - 1) * self.dilation[1] + 1

    def padded(self, size: Pair) -> Pair:
        """The height and width of an image of `size` with the padding.

        >>> Window((3, 3), padding=((1, 1), (1, 1))).padded((7, 9))
        (9, 11)
        """
        return size[0] + sum(self.padding[0]), size[1] + sum(self.padding[1])

    def positions(self, size: Pair) -> Pair:
        """The count of window positions on an image of `size`, in rows and columns. A ragged edge is dropped.

        Raises ValueError if the window is larger than the padded image.

        >>> Window((3, 3), stride=(2, 2)).positions((7, 9))
        (3, 4)
        """
        padded, span = self.padded(size), self.span
        if padded[0] < span[0] or padded[1] < span[1]:
            raise ValueError(
                f"kernel {self.kernel} with dilation {self.dilation} spans {span[0]}x{span[1]}, "
                f"more than the image of {size[0]}x{size[1]} with padding {self.padding}"
            )
        return (padded[0] - span[0]) // self.stride[0] + 1, (padded[1] - span[1]) // self.stride[1] + 1
