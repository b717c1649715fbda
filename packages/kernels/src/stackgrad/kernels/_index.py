"""Where the elements of arrays lie, as both backends see it."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int, ...]


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
