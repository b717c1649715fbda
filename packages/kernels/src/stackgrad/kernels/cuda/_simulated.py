"""The arguments that stand for arrays in simulated kernels: host memory with indices, where a GPU has pointers."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Pointer:
    """A kernel's argument for an array: indices count from `start`, and an index out of bounds raises IndexError."""

    __slots__ = ("_elements", "_start")

    def __init__(self, elements: NDArray[Any], start: int) -> None:
        self._elements, self._start = elements, start

    def _index(self, i: int) -> int:
        index = self._start + int(i)
        if not 0 <= index < self._elements.size:
            raise IndexError(f"a kernel at element {index} of memory for {self._elements.size}")
        return index

    def __getitem__(self, i: int) -> Any:
        return self._elements[self._index(i)]

    def __setitem__(self, i: int, value: Any) -> None:
        self._elements[self._index(i)] = value


class Anywhere:
    """A kernel's argument for all memory: indices count elements from address 0."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    def _element(self, i: int) -> NDArray[Any]:
        size = self._dtype.itemsize
        element = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(int(i) * size))
        return element.view(self._dtype)

    def __getitem__(self, i: int) -> Any:
        return self._element(i)[0]

    def __setitem__(self, i: int, value: Any) -> None:
        self._element(i)[0] = value
