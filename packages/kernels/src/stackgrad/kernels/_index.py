"""Shapes and strides of arrays, for both backends."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

from stackgrad.tensor._types import Shape

T = TypeVar("T")


def around(shape: Shape, dim: int) -> tuple[int, int, int]:
    """The shape viewed as (a, k, b), where k is the extent of `dim`."""
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])


def spread_strides(shape: Shape, strides: Shape, wanted: Shape) -> Shape:
    """The strides of an array broadcast to the shape `wanted`."""
    new = len(wanted) - len(shape)
    return (0,) * new + tuple([0 if extent == 1 else step for extent, step in zip(shape, strides, strict=True)])


def memory_order(operands: Iterable[tuple[Shape, Shape]], shape: Shape) -> Shape:
    """The order of dimensions in memory for a result of `shape`.

    It is the order of the first operand, given by shape and strides, that has this shape and is not broadcast.
    """
    for given, strides in operands:
        if given == shape and all(step or extent == 1 for step, extent in zip(strides, shape, strict=True)):
            return by_stride(shape, strides)
    return tuple(range(len(shape)))


def by_stride(shape: Shape, strides: Shape) -> Shape:
    """The dimensions, longest strides first; dimensions of extent 1 alone do not change their order."""
    long = [abs(step) for step, extent in zip(strides, shape, strict=True) if extent != 1]
    if all(a >= b for a, b in pairwise(long)):
        return tuple(range(len(shape)))
    return tuple(sorted(range(len(shape)), key=lambda d: -abs(strides[d])))


def inverse(order: Shape) -> Shape:
    """The inverse permutation of `order`."""
    return tuple([order.index(d) for d in range(len(order))])


def three(operands: Sequence[T]) -> tuple[T, T, T]:
    """One to three operands as the three that kernels take: the last one stands in for missing ones."""
    return operands[0], operands[min(1, len(operands) - 1)], operands[-1]


def merge(shape: Shape, strides: Sequence[Shape]) -> tuple[Shape, list[Shape]]:
    """The shape and each array's strides, with adjacent dimensions merged where all arrays allow it."""
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
