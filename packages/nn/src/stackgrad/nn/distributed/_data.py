"""Each rank's share of the examples: all of them once, in the order in which one process would take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._random import RowsBefore

from .. import data
from ._world import world

T = TypeVar("T")


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

    All ranks must have a generator in the same state, see `broadcast`. Dropout draws for each batch that is given here
    the mask of this rank's rows of it, so that all ranks together drop what one process would.

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
    parts = [(len(batch), batch[share(len(batch))]) for batch in data.batches(n, batch_size, generator, drop_last)]
    return (_begun(size, part) for size, part in parts)


def _begun(size: int, batch: T) -> T:
    """A rank's share of a batch of that size, of which dropout draws what one process draws for these rows."""
    RowsBefore.count = share(size).start
    return batch


class DataLoader(data.DataLoader):
    """`nn.DataLoader` of this rank's share of each batch: `batch_size` is that of all ranks together.

    All ranks must have the same dataset, and a generator in the same state, see `broadcast`. Where a last batch holds
    fewer examples than there are ranks, some get a batch of none: tensors whose first dimension is 0.
    """

    def _parts(self) -> Iterator[npt.NDArray[np.int64]]:
        return (part[share(len(part))] for part in super()._parts())

    def __iter__(self) -> Iterator[Any]:
        n, size = len(self.dataset), self.batch_size
        return (_begun(min(size, n - i * size), batch) for i, batch in enumerate(super().__iter__()))

    def _batch(self, indices: npt.NDArray[np.int64]) -> Any:
        return super()._batch(indices) if len(indices) else _none_of(super()._batch(np.zeros(1, np.int64)))


def _none_of(batch: Any) -> Any:
    """A batch like the one given, of no examples."""
    if isinstance(batch, Tensor):
        return batch[:0]
    if isinstance(batch, Mapping):
        return {key: _none_of(part) for key, part in batch.items()}
    if isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        parts = [_none_of(part) for part in batch if not isinstance(part, str | bytes)]  # of texts, none
        return batch._make(parts) if hasattr(batch, "_make") else parts
    raise TypeError(
        f"a batch of type {type(batch).__name__} cannot be made one of no examples, which a rank has where the last "
        "batch holds fewer examples than there are ranks: give drop_last=True, or a collate_fn that makes tensors"
    )
