"""Rows of bytes as scaled floats: how a batch of images is read from a data set."""

from __future__ import annotations

from functools import partial
from typing import Any, NoReturn, overload

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import Tensor
from stackgrad.tensor._autograd import BuiltinFunction, Context

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


class _Scaled(BuiltinFunction):
    """`_scaled` for a tensor of indices, which has no gradient."""

    @staticmethod
    def forward(ctx: Context, index: Tensor, rows: NDArray[np.uint8], factor: float, shift: float) -> Tensor:
        return index.new(_scaled(rows, index.data, factor, shift))


@overload
def scaled_bytes(
    rows: NDArray[np.uint8], index: NDArray[np.int64], factor: float, shift: float
) -> NDArray[np.float32]: ...
@overload
def scaled_bytes(rows: NDArray[np.uint8], index: Tensor, factor: float, shift: float) -> Tensor: ...


def scaled_bytes(rows: NDArray[np.uint8], index: Any, factor: float, shift: float) -> Any:
    """`rows[index] * factor + shift` as float32, in one pass and in parallel.

    In a captured function, pass a tensor of indices: each replay reads the rows that it names then.

    Args:
        rows: uint8 (n, ...). For a tensor of indices, in C order.
        index: int64 (m,), from 0 to n - 1: an array, or a tensor on the backend `cpu`.
        factor, shift: applied in float64.

    Returns:
        float32 (m, ...), an array or a tensor as `index` is.

    Raises:
        ValueError: another dtype, shape, order or backend.
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
    if not isinstance(index, Tensor):
        if not rows.flags.c_contiguous:  # copy what is read alone
            _expect_inside(index, len(rows))
            rows, index = np.ascontiguousarray(rows[index]), np.arange(len(index))
        return _scaled(rows, index, factor, shift)
    if index.backend.name != "cpu":
        raise ValueError(f"scaled_bytes: index on the backend {index.backend.name}: expected a tensor on cpu")
    if not rows.flags.c_contiguous:
        raise ValueError("scaled_bytes: rows that are not in C order: pass np.ascontiguousarray(rows)")
    return _Scaled.apply(index, rows, factor, shift)


def _scaled(rows: NDArray[np.uint8], index: NDArray[np.int64], factor: float, shift: float) -> NDArray[np.float32]:
    """`scaled_bytes` of rows in C order."""
    count, index = len(index), in_order(index)
    out: NDArray[Any] = empty((count, *rows.shape[1:]), _FLOAT)
    if not out.size:
        _expect_inside(index, len(rows))
        return out
    size = out.size // count
    each = max(1, PIECE // size)
    arguments = (rows, index, out, factor, shift, len(rows), count, size, each)
    _scale[_FLOAT](-(-count // each), out.size, arguments, partial(_refuse, len(rows)))
    return out


def _expect_inside(index: NDArray[np.int64], extent: int) -> None:
    if len(index) and index.view(np.uint64).max() >= extent:  # a negative index is a large one
        _refuse(extent)


def _refuse(extent: int) -> NoReturn:
    raise IndexError(f"scaled_bytes: an index outside 0 .. {extent - 1}")
