"""Numbers of classes and of rows, looked at by a launch: a row of launches goes on without Python."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numba import types
from numpy.typing import NDArray

from ._channels_last import in_order
from ._kernel import kernel
from ._memory import empty
from ._parallel import CHUNK
from ._pointers import Memory, load, store


@kernel(lambda T: (Memory(T), Memory(T), *[types.intp] * 3))
def _check(chunk, index, out, size, low, extent):
    """CHUNK numbers; where negative ones are among low .. extent - 1, each into `out`, counted from the front."""
    wrong = False
    for i in range(chunk * CHUNK, min(size, (chunk + 1) * CHUNK)):
        number = load(index, i)
        wrong |= number < low or number >= extent
        if low < 0:
            store(out, i, number + extent if number < 0 else number)
    if wrong:
        raise IndexError


def checked_index(
    index: NDArray[np.int64], low: int, extent: int, error: type[Exception], message: str
) -> NDArray[np.int64]:
    """See Backend.checked_index. A replay ends before the kernels that would use a wrong number."""
    numbers = in_order(index)
    out = empty(index.shape, np.int64) if low < 0 else numbers

    def explain() -> NoReturn:
        raise error(message.format(numbers[(numbers < low) | (numbers >= extent)][0]))

    size = numbers.size
    _check[numbers.dtype](-(-size // CHUNK), size, (numbers, out, size, low, extent), explain)
    return out
