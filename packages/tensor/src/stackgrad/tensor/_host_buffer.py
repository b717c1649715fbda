"""Memory of the host through which arrays of a backend pass again and again, such as those that are sent elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._backend import Backend, DType
    from ._shape import Shape


class HostBuffer:
    """`values` (shape) on the host. A device may have memory for them that it copies from and to by itself."""

    values: NDArray[Any]

    def __init__(self, backend: Backend, shape: Shape, dtype: DType) -> None:
        self._backend = backend
        self.values = np.empty(shape, dtype)

    def download(self, a: Any) -> None:
        """Set `values` to those of an array of the backend, of the same shape and dtype, in C order."""
        np.copyto(self.values, self._backend.to_numpy(a))

    def upload(self, a: Any) -> None:
        """Write `values` into such an array. They must not change before the next `download` is done."""
        self._backend.assign(a, self._backend.from_numpy(self.values))
