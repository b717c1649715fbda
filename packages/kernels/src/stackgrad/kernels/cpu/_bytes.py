"""Rows of bytes as scaled floats: how a batch of images is read from a data set."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ._channels_last import in_order
from ._kernel import kernel
from ._memory import empty
from ._numba import types
from ._pointers import Memory, load, store

PIECE = 8_192  # elements of a chunk, but at least one row
_FLOAT = np.dtype(np.float32)


@kernel(
    lambda T: (
        *(Memory(types.uint8), Memory(types.int64), Memory(T), types.float64, types.float64),
        *[types.intp] * 4,
    )
)
def _scale(chunk, rows, index, out, factor, shift, extent, count, size, each):
    """`each` of the `count` indexed rows of `size` bytes. In float64, so that the result is rounded once."""
    for i in range(chunk * each, min(count, (chunk + 1) * each)):
        row = load(index, i)
        if not 0 <= row < extent:
            raise IndexError
        source = row * size
        for j in range(size):
            store(out, i * size + j, np.float32(load(rows, source + j) * factor + shift))


def scaled_bytes(rows: NDArray[np.uint8], index: NDArray[np.int64], factor: float, shift: float) -> NDArray[np.float32]:
    """`rows[index] * factor + shift` as float32, in one pass and in parallel.

    Args:
        rows: uint8 (n, ...).
        index: int64 (m,), from 0 to n - 1.
        factor, shift: applied in float64.

    Returns:
        float32 (m, ...).

    Raises:
        ValueError: another dtype or shape.
        IndexError: an index outside 0 .. n - 1.

    >>> import numpy as np
    >>> scaled_bytes(np.array([[0, 255], [1, 2]], np.uint8), np.array([1, 0]), 0.5, -1.0)
    array([[ -0.5,   0. ],
           [ -1. , 126.5]], dtype=float32)
    """
    if rows.dtype != np.uint8 or not rows.ndim:
        raise ValueError(f"scaled_bytes: rows of {rows.dtype} {rows.shape}: expected uint8 (n, ...)")
    if index.dtype != np.int64 or index.ndim != 1:
        raise ValueError(f"scaled_bytes: index of {index.dtype} {index.shape}: expected int64 (m,)")
    count, index = len(index), in_order(index)

    def explain() -> NoReturn:
        raise IndexError(f"scaled_bytes: an index outside 0 .. {len(rows) - 1}")

    if not (rows.flags.c_contiguous and rows.size):  # copy what is read alone
        if count and index.view(np.uint64).max() >= len(rows):  # a negative index is a large one
            explain()
        rows, index = np.ascontiguousarray(rows[index]), np.arange(count)
    out: NDArray[Any] = empty((count, *rows.shape[1:]), _FLOAT)
    if out.size:
        size = out.size // count
        each = max(1, PIECE // size)
        arguments = (rows, index, out, factor, shift, len(rows), count, size, each)
        _scale[_FLOAT](-(-count // each), out.size, arguments, explain)
    return out
