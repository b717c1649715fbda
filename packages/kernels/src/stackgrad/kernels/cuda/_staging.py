"""Page-locked host memory for uploads: the device fetches values from it later, so the host need not wait.

|upload 0|upload 1|upload 2| free                |     filled from the front
|upload 9| free                                  |     if an upload does not fit, wait for all earlier ones,
                                                       and begin at the front again
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor._fork import free_in_forks

SIZE = 16 * 1024**2  # bytes
_GRAIN = 64


class PinnedMemory:
    """`size` bytes of the host at `address`, for NumPy; `free` frees them with the last array that refers to them."""

    def __init__(self, address: int, size: int, free: Callable[[int], None]) -> None:
        self._address, self._free = address, free
        self.__array_interface__ = {"data": (address, False), "shape": (size,), "typestr": "|u1", "version": 3}

    def __del__(self) -> None:
        try:  # noqa: SIM105 - at interpreter shutdown the driver may be gone
            self._free(self._address)
        except Exception:
            pass


class Staging:
    """SIZE bytes at `address`. `fetch` starts a copy on the device, `wait` waits for all of them.

    The arguments of `fetch` are the source address, the target address and the number of bytes.
    """

    def __init__(self, address: int, fetch: Callable[[int, int, int], Any], wait: Callable[[], None]) -> None:
        self._address, self._fetch, self._wait = address, fetch, wait
        self._bytes = np.ctypeslib.as_array((ctypes.c_uint8 * SIZE).from_address(address))
        self._filled = 0
        self._lock = free_in_forks(Lock())

    def upload(self, values: NDArray[Any], target: int) -> None:
        """Let the device fetch `values`, in C order, to its address `target`. The caller may change them afterwards."""
        flat = values.reshape(-1).view(np.uint8)
        for first in range(0, flat.size, SIZE):
            part = flat[first : first + SIZE]
            with self._lock:
                if self._filled + part.size > SIZE:
                    self._wait()
                    self._filled = 0
                at = self._filled
                self._bytes[at : at + part.size] = part
                self._fetch(self._address + at, target + first, part.size)
                self._filled += -(-part.size // _GRAIN) * _GRAIN
