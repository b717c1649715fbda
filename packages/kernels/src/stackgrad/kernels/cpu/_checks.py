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
from ._pointers import load, store


@kernel(lambda T: (T[::1], T[::1], types.intp, types.intp))
def _check(chunk, index, out, low, extent):
    """CHUNK numbers; where negative ones are among low .. extent - 1, each into `out`, counted from the front."""
    wrong = False
    for i in range(chunk * CHUNK, min(index.size, (chunk + 1) * CHUNK)):
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

    arguments = (numbers.reshape(-1), out.reshape(-1), low, extent)
    _check[numbers.dtype](-(-numbers.size // CHUNK), numbers.size, arguments, explain)
    return out
