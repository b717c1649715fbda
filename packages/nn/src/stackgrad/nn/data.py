"""Batches of example numbers in random order."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

import stackgrad.tensor as sg
from stackgrad.tensor import Generator


def permutation(n: int, generator: Generator | None = None) -> npt.NDArray[np.int64]:
    """The numbers 0 to n - 1 in random order, the same on every platform and backend for one state of the generator.

    Random keys are drawn on the host and sorted, ties in the order of their index.
    """
    keys = sg.rand(n, dtype=sg.float64, generator=generator, backend="numpy").numpy()
    return np.argsort(keys, kind="stable").astype(np.int64)


def batches(
    n: int, batch_size: int, generator: Generator | None = None, drop_last: bool = False
) -> Iterator[npt.NDArray[np.int64]]:
    """All numbers from 0 to n - 1 once, shuffled, in arrays of `batch_size`. Call it once an epoch.

    The order is drawn at the call, not at the first batch.

    Args:
        n: how many examples there are.
        batch_size: how many a batch holds; the last one may hold fewer.
        generator: the source of the order; the default generator where None.
        drop_last: leave out a last batch that is not full.

    Raises:
        ValueError: a negative n, a batch size below 1.
    """
    if n < 0:
        raise ValueError(f"n must not be negative; got {n}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}")
    order = permutation(n, generator)
    end = n - n % batch_size if drop_last else n
    return (order[start : start + batch_size] for start in range(0, end, batch_size))
