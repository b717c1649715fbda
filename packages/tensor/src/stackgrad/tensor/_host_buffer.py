"""A reusable buffer in host memory for arrays of a backend, for example to send them to another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._backend import Backend
    from ._types import DType, Shape


class HostBuffer:
    """`values` (shape) on the host. A device backend may use pinned memory, which it copies asynchronously."""

    values: NDArray[Any]

    def __init__(self, backend: Backend, shape: Shape, dtype: DType) -> None:
        self._backend = backend
        self.values = np.empty(shape, dtype)

    def __repr__(self) -> str:
        return f"HostBuffer(shape={self.values.shape}, dtype={self.values.dtype}, backend={self._backend.name!r})"

    def download(self, a: Any) -> None:
        """Copy an array of the backend, of the same shape and dtype and in C order, to `values`."""
        np.copyto(self.values, self._backend.to_numpy(a))

    def upload(self, a: Any) -> None:
        """Copy `values` to such an array. They must not change until the next `download` has returned."""
        self._backend.assign(a, self._backend.from_numpy(self.values))
