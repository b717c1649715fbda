"""Where the elements of arrays lie, as both backends see it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

Shape = tuple[int, ...]
T = TypeVar("T")


def around(shape: Shape, dim: int) -> tuple[int, int, int]:
    """The shape seen as (a, k, b), k the extent of `dim`."""
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])


def spread_strides(shape: Shape, strides: Shape, wanted: Shape) -> Shape:
    """The strides of an array as repeated to the shape `wanted`."""
    new = len(wanted) - len(shape)
    return (0,) * new + tuple([0 if extent == 1 else step for extent, step in zip(shape, strides, strict=True)])


def memory_order(operands: Iterable[tuple[Shape, Shape]], shape: Shape) -> Shape:
    """The order of dimensions in which a result of `shape` lies in memory.

    It is that of the first operand, of a shape and strides, which has this shape and repeats nothing.
    """
    for given, strides in operands:
        if given == shape and all(step or extent == 1 for step, extent in zip(strides, shape, strict=True)):
            return by_stride(shape, strides)
    return tuple(range(len(shape)))


def by_stride(shape: Shape, strides: Shape) -> Shape:
    """The dimensions, those with the longest strides first; as they are where only those of extent 1 say otherwise."""
    long = [abs(step) for step, extent in zip(strides, shape, strict=True) if extent != 1]
    if all(a >= b for a, b in pairwise(long)):
        return tuple(range(len(shape)))
    return tuple(sorted(range(len(shape)), key=lambda d: -abs(strides[d])))


def inverse(order: Shape) -> Shape:
    """The order of dimensions that undoes `order`."""
    return tuple([order.index(d) for d in range(len(order))])


def three(operands: Sequence[T]) -> tuple[T, T, T]:
    """One to three operands as the three that kernels take: the last stands for those that there are not."""
    return operands[0], operands[min(1, len(operands) - 1)], operands[-1]


def merge(shape: Shape, strides: Sequence[Shape]) -> tuple[Shape, list[Shape]]:
    """The shape and each array's strides, with neighbouring dimensions made one where all arrays allow it."""
    extents: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for d, extent in enumerate(shape):
        if extent == 1:
            continue
        steps = [array[d] for array in strides]
        if extents and all([s[-1] == step * extent for s, step in zip(merged, steps, strict=True)]):  # noqa: C419
            extents[-1] *= extent
            for s, step in zip(merged, steps, strict=True):
                s[-1] = step
            continue
        extents.append(extent)
        for s, step in zip(merged, steps, strict=True):
            s.append(step)
    return tuple(extents), [tuple(s) for s in merged]
