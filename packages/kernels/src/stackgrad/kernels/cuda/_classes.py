"""Class numbers that a replay is given: looked at on the device, and told of with the next value that is read.

To look at them at once would be to wait for the device. One block looks at all n of them; the smallest place is found
as in a reduction, the right half of the threads put to the left one until one is left. With four threads:

    classes    |3 0 10 7|-1 1 ...|     of 10 classes: those at places 2 and 4 are none
    places     |4 n 2 n|               thread t looks at places t, t + BLOCK, ...: its first wrong one, or n
               |2 n|
               |2|
    found      |which check, 10|       written where nothing was found before
"""

from __future__ import annotations

import numpy as np

from ._array import DeviceArray, constant, to_numpy
from ._copy import contiguous
from ._driver import cuda, device
from ._kernel import BLOCK, T, int64, kernel, pointer

_INT64 = np.dtype("int64")


@kernel(lambda T: (pointer(int64), pointer(int64), int64, int64, int64), dtypes="i")
def _find_wrong(numbers, found, check, classes, n):
    """The first of n numbers that is not in 0 .. classes - 1 into `found`, with the check's own number, not 0."""
    places = cuda.shared.array(BLOCK, T)
    thread = cuda.threadIdx.x
    place = n
    i = thread
    while i < n and place == n:
        if numbers[i] < 0 or numbers[i] >= classes:
            place = i
        i += BLOCK
    places[thread] = place
    half = BLOCK // 2
    while half > 0:
        cuda.syncthreads()
        if thread < half:
            places[thread] = min(places[thread], places[thread + half])
        half //= 2
    if thread == 0 and places[0] < n and found[0] == 0:
        found[0] = check
        found[1] = numbers[places[0]]


class ClassChecks:
    """The checks of captured functions, and what they found since the last value was read."""

    def __init__(self) -> None:
        self._messages: list[str] = []
        self._found: DeviceArray | None = None

    def check(self, target: DeviceArray, classes: int, message: str) -> None:
        """See Backend.check_classes_in_replays."""
        if self._found is None:
            self._found = constant(np.zeros(2, _INT64))
        if message not in self._messages:
            self._messages.append(message)
        number = 1 + self._messages.index(message)
        _find_wrong[_INT64](1, contiguous(target), self._found, number, classes, target.size)

    def tell(self) -> None:
        """Raise ValueError for the first that was found, once."""
        if self._found is None:
            return
        number, wrong = to_numpy(self._found).tolist()
        if number:
            device().upload(self._found.owner.memory, 0, np.zeros(2, _INT64))
            raise ValueError(self._messages[number - 1].format(wrong))
