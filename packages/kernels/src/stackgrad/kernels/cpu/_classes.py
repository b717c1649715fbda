"""Class numbers that a replay is given: looked at by a launch of its own, so that the row goes on without Python."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import capturing

from ._channels_last import in_order
from ._kernel import kernel
from ._pointers import load
from ._replay import explain_failure


@kernel(lambda T: (types.int64[::1], types.intp))
def _expect_classes(chunk, numbers, classes):
    for i in range(numbers.size):
        if not 0 <= load(numbers, i) < classes:
            raise ValueError


def check_classes_in_replays(target: NDArray[np.int64], classes: int, message: str) -> None:
    """See Backend.check_classes_in_replays: a replay ends before the kernels that would use a wrong number."""
    numbers: NDArray[Any] = in_order(target)
    _expect_classes[numbers.dtype](1, 0, (numbers, classes))
    assert capturing.tape is not None

    def explain() -> None:
        wrong = numbers[(numbers < 0) | (numbers >= classes)]
        if wrong.size:
            raise ValueError(message.format(wrong[0]))

    explain_failure(capturing.tape, explain)
