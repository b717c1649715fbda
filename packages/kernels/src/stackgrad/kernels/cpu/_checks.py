"""Class and row indices are checked by a kernel, so that a sequence of launches needs no Python in between."""

from __future__ import annotations

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from ._channels_last import in_order
from ._kernel import kernel
from ._memory import empty
from ._numba import types
from ._parallel import CHUNK
from ._pointers import Memory, load, store


@kernel(lambda T: (Memory(T), Memory(T), *[types.intp] * 3))
def _check(chunk, index, out, size, low, extent):
    """Check CHUNK indices. If `low` is negative, write each to `out`, with extent added to the negative ones."""
    wrong = False
    for i in range(chunk * CHUNK, min(size, (chunk + 1) * CHUNK)):
        value = load(index, i)
        wrong |= value < low or value >= extent
        if low < 0:
            store(out, i, value + extent if value < 0 else value)
    if wrong:
        raise IndexError


def checked_index(
    index: NDArray[np.int64], low: int, extent: int, error: type[Exception], message: str
) -> NDArray[np.int64]:
    """See Backend.checked_index. A replay stops before the kernels that would use an index out of range."""
    indices = in_order(index)
    out = empty(index.shape, np.int64) if low < 0 else indices

    def explain() -> NoReturn:
        raise error(message.format(indices[(indices < low) | (indices >= extent)][0]))

    size = indices.size
    _check[indices.dtype](-(-size // CHUNK), size, (indices, out, size, low, extent), explain)
    return out
