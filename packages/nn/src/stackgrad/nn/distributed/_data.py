"""Each rank's share of the examples: all of them once, in the order in which one process would take them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stackgrad.tensor import Generator

from .. import data
from ._world import world


def share(n: int) -> slice:
    """Which of n examples in a row are this rank's: as many as others have, or one more on the first ranks."""
    here = world()
    whole, left = divmod(n, here.size)
    start = here.rank * whole + min(here.rank, left)
    return slice(start, start + whole + (here.rank < left))


def batches(
    n: int, batch_size: int, generator: Generator | None = None, drop_last: bool = False
) -> Iterator[npt.NDArray[np.int64]]:
    """This rank's share of each of the batches that `nn.batches` gives one process: each example once an epoch.

    All ranks must have a generator in the same state, see `broadcast`.

    Args:
        n: how many examples there are, for all ranks.
        batch_size: how many a batch holds, for all ranks together.
        generator: the source of the order; the default generator where None.
        drop_last: leave out a last batch that is not full.

    Returns:
        As many arrays of indices on each rank, of lengths that may differ by one; empty ones for some ranks where a
        last batch holds fewer examples than there are ranks.

    Raises:
        ValueError: a negative n, a batch size below the number of ranks.
    """
    if batch_size < world().size:
        raise ValueError(
            f"batch_size {batch_size} for {world().size} ranks: it counts the examples of all of them: expected one "
            "each, or more"
        )
    return (batch[share(len(batch))] for batch in data.batches(n, batch_size, generator, drop_last))


class DataLoader(data.DataLoader):
    """`nn.DataLoader` of this rank's share of each batch: `batch_size` is that of all ranks together.

    All ranks must have the same dataset, and a generator in the same state, see `broadcast`.
    """

    def _parts(self) -> Iterator[npt.NDArray[np.int64]]:
        return (part[share(len(part))] for part in super()._parts())
