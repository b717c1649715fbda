"""Numbers of classes and of rows that a replay is given, looked at on the device; the next read value tells of them.

To look at them at once would be to wait for the device. One block looks at all n of them; the smallest index is found
as in a reduction, the right half of the threads handed to the left one until one is left. With four threads:

    classes    |3 0 10 7|-1 1 ...|     of 10 classes: those at 2 and 4 are none
    first      |4 n 2 n|               thread t looks at t, t + BLOCK, ...: its first wrong one, or n
               |2 n|
               |2|
    found      |which check, 10|       written where nothing was found before
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
    """The first of n numbers that is not in low .. extent - 1 into `found`, with the check's own number, not 0.

    Where negative ones are in the range, each number goes into `out`, counted from the front.
    """
    first = cuda.shared.array(BLOCK, T)
    thread = cuda.threadIdx.x
    first[thread] = n
    i = thread
    while i < n:
        number = index[i]
        if (number < low or number >= extent) and first[thread] == n:
            first[thread] = i
        if low < 0:
            out[i] = number + extent if number < 0 else number
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
    """The checks of captured functions, and what they found since the last value was read."""

    def __init__(self) -> None:
        self._errors: list[tuple[type[Exception], str]] = []
        self._found: DeviceArray | None = None

    def launch(self, index: DeviceArray, low: int, extent: int, error: type[Exception], message: str) -> DeviceArray:
        """See Backend.checked_index: for replays, whose numbers nobody knows yet."""
        if self._found is None:
            self._found = constant(np.zeros(2, _INT64))
        if (error, message) not in self._errors:
            self._errors.append((error, message))
        number = 1 + self._errors.index((error, message))
        index = contiguous(index)
        out = empty(index.shape, _INT64) if low < 0 else index
        _check[_INT64](1, index, out, self._found, number, low, extent, index.size)
        return out

    def tell(self) -> None:
        """Raise for the first that was found, once."""
        if self._found is None:
            return
        number, wrong = to_numpy(self._found).tolist()
        if number:
            device().upload(self._found.owner.memory, 0, np.zeros(2, _INT64))
            error, message = self._errors[number - 1]
            raise error(f"{message.format(wrong)}, in a replay of a captured function")
