"""Memory, views and indexing for backends whose arrays are NumPy's: the reference and the CPU kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from ._backend import Backend
from ._sums import by_row
from ._types import DType, Shape

LARGE = 1e38  # a Python scalar below it fits every float dtype


def constant(value: bool | int | float, dtype: DType) -> NDArray[Any]:
    """`value` as an array of no dimensions."""
    if type(value) in (bool, int, float) and -LARGE < value < LARGE:
        return np.array(value, dtype)
    with np.errstate(all="ignore"):  # a Python float too large for float32 becomes infinite
        return np.array(value, dtype)


class HostBackend(Backend):
    """The part of a backend that NumPy does well enough: memory, views, and selecting elements by index."""

    def from_numpy(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def to_numpy(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def from_dlpack(self, external: Any) -> NDArray[Any]:
        return np.from_dlpack(external)

    def empty(self, shape: Shape, dtype: DType) -> NDArray[Any]:
        return np.empty(shape, dtype)

    def empty_like(self, a: NDArray[Any]) -> NDArray[Any]:
        if a.flags.c_contiguous:
            return self.empty(a.shape, a.dtype)
        spans = [stride * (extent - 1) for stride, extent in zip(a.strides, a.shape, strict=True)]
        before, behind = -sum(min(span, 0) for span in spans), sum(max(span, 0) for span in spans)
        memory = self.empty((before + behind + a.itemsize,), np.dtype(np.uint8))
        return np.ndarray(a.shape, a.dtype, memory, before, a.strides)

    def full(self, shape: Shape, value: bool | int | float, dtype: DType) -> NDArray[Any]:
        out = self.empty(shape, dtype)
        out.fill(self.constant(value, dtype))
        return out

    def constant(self, value: bool | int | float, dtype: DType) -> NDArray[Any]:
        return constant(value, dtype)

    def copy(self, a: NDArray[Any], dtype: DType | None = None) -> NDArray[Any]:
        with np.errstate(all="ignore"):  # no warning for NaN converted to an integer
            return np.array(a, dtype or a.dtype, order="C")

    def assign(self, target: NDArray[Any], source: NDArray[Any]) -> None:
        target[...] = source

    def owns_memory(self, a: NDArray[Any]) -> bool:
        return a.base is None

    def is_writable(self, a: NDArray[Any]) -> bool:
        return a.flags.writeable

    def is_contiguous(self, a: NDArray[Any]) -> bool:
        return a.flags.c_contiguous

    def reshape(self, a: NDArray[Any], shape: Shape) -> NDArray[Any]:
        return a.reshape(shape)

    def shares_memory(self, a: NDArray[Any], b: NDArray[Any]) -> bool:
        return np.may_share_memory(a, b)

    def permute(self, a: NDArray[Any], dims: Shape) -> NDArray[Any]:
        return a.transpose(dims)

    def expand(self, a: NDArray[Any], shape: Shape) -> NDArray[Any]:
        return self.plan_expand(a, shape)(a)

    def plan_expand(self, a: NDArray[Any], shape: Shape) -> Callable[[NDArray[Any]], NDArray[Any]]:
        new, dtype = len(shape) - a.ndim, a.dtype
        strides = (0,) * new + tuple([0 if n == 1 else stride for n, stride in zip(a.shape, a.strides, strict=True)])
        if a.flags.c_contiguous and a.size:
            return lambda a: np.ndarray(shape, dtype, a, 0, strides)  # as_strided takes twenty times longer
        return lambda a: as_strided(a, shape, strides)

    def slice(self, a: NDArray[Any], key: tuple[int | slice | None, ...]) -> NDArray[Any]:
        return a[(*key, ...)]

    def nonzero(self, mask: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        return tuple(index.astype(np.int64, copy=False) for index in mask.nonzero())

    def gather(self, a: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(a[index])

    def scatter_add(self, g: NDArray[Any], index: NDArray[Any], rows: int) -> NDArray[Any]:
        with np.errstate(all="ignore"):  # no warning for infinities of opposite sign
            return by_row(g, index, rows)

    def scatter(self, target: NDArray[Any], index: NDArray[Any], source: NDArray[Any]) -> None:
        target[index] = source
