"""Arrays of any shape in kernels: at most RANK dimensions, with strides for each array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stackgrad.tensor._types import Shape

from .._index import merge
from ._array import DeviceArray
from ._driver import inlined

RANK = 4


@inlined
def divide(a, b):
    """a // b for 0 <= a and 0 < b. The compiler adds a test for 32 bits, in which it takes a quarter of the time."""
    return np.int64(np.uint64(a) // np.uint64(b))


@inlined
def offset_of(i, shape, strides):
    """The offset of element i, counted in C order."""
    row = divide(i, shape[3])
    plane = divide(row, shape[2])
    block = divide(plane, shape[1])
    return (
        block * strides[0]
        + (plane - block * shape[1]) * strides[1]
        + (row - plane * shape[2]) * strides[2]
        + (i - row * shape[3]) * strides[3]
    )


def parts(
    arrays: Sequence[DeviceArray], shape: Shape, strides: Sequence[Shape]
) -> Iterator[tuple[list[DeviceArray], Shape]]:
    """The arrays, each with its strides over `shape`, as views of RANK dimensions, and the shape of these.

    Usually there is one part. If more dimensions are left after merging, each index of the first ones is a part.
    """
    extents, merged = merge(shape, strides)
    lead = max(len(extents) - RANK, 0)
    fill = max(RANK - len(extents), 0)
    inner = (1,) * fill + extents[lead:]
    for index in np.ndindex(extents[:lead]):
        yield (
            [
                a.view(inner, (0,) * fill + steps[lead:], int(np.dot(index, steps[:lead])))
                for a, steps in zip(arrays, merged, strict=True)
            ],
            inner,
        )
