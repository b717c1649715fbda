"""Class and row indices in replays are checked on the device; the next read of a value reports an error.

Reporting it at once would mean waiting for the device. One block checks all n indices. Their first position out of
range is found as in a reduction: the right half of the threads is merged into the left one until one is left. With four
threads:

    classes    |3 0 10 7|-1 1 ...|     with 10 classes, those at 2 and 4 are out of range
    first      |4 n 2 n|               thread t checks t, t + BLOCK, ...: its first one out of range, or n
               |2 n|
               |2|
    found      |which check, 10|       written unless an earlier check found something
"""

from __future__ import annotations

import numpy as np

from ._array import DeviceArray, constant, empty, to_numpy
from ._copy import contiguous
from ._driver import cuda, device
from ._kernel import BLOCK, T, int64, kernel, pointer

_INT64 = np.dtype("int64")


@kernel(lambda T: (pointer(int64), pointer(int64), pointer(int64), int64, int64, int64, int64), dtypes="i")
def _check(index, out, found, check, low, extent, n):
    """Write the first of n indices outside low .. extent - 1 to `found`, after the number of the check, which is not 0.

    If `low` is negative, write each index to `out`, with extent added to the negative ones.
    """
    first = cuda.shared.array(BLOCK, T)
    thread = cuda.threadIdx.x
    first[thread] = n
    i = thread
    while i < n:
        value = index[i]
        if (value < low or value >= extent) and first[thread] == n:
            first[thread] = i
        if low < 0:
            out[i] = value + extent if value < 0 else value
        i += BLOCK
    half = BLOCK // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            first[thread] = min(first[thread], first[thread + half])
        half //= 2
    if thread == 0 and first[0] < n and found[0] == 0:
        found[0] = check
        found[1] = index[first[0]]


class Checks:
    """The checks of captured functions, and their findings since the last value was read."""

    def __init__(self) -> None:
        self._errors: list[tuple[type[Exception], str]] = []
        self._found: DeviceArray | None = None

    def launch(self, index: DeviceArray, low: int, extent: int, error: type[Exception], message: str) -> DeviceArray:
        """See Backend.checked_index; this one checks in each replay."""
        if self._found is None:
            self._found = constant(np.zeros(2, _INT64))
        if (error, message) not in self._errors:
            self._errors.append((error, message))
        check = 1 + self._errors.index((error, message))
        index = contiguous(index)
        out = empty(index.shape, _INT64) if low < 0 else index
        _check[_INT64](1, index, out, self._found, check, low, extent, index.size)
        return out

    def report(self) -> None:
        """Raise the error of the first finding, once."""
        if self._found is None:
            return
        check, wrong = to_numpy(self._found).tolist()
        if check:
            device().upload(self._found.owner.memory, 0, np.zeros(2, _INT64))
            error, message = self._errors[check - 1]
            raise error(f"{message.format(wrong)}, in a replay of a captured function")
