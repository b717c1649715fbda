"""Each rank's share of the examples, in the order that one process would use."""

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
    """This rank's slice of n examples. Shares are equal, or the first ranks have one example more."""
    here = world()
    count, rest = divmod(n, here.size)
    start = here.rank * count + min(here.rank, rest)
    return slice(start, start + count + (here.rank < rest))


def batches(
    n: int, batch_size: int, generator: Generator | None = None, drop_last: bool = False
) -> Iterator[npt.NDArray[np.int64]]:
    """This rank's share of each batch of `nn.batches`, so that each example comes once per epoch.

    All ranks must have a generator in the same state, see `broadcast`. For each of these batches dropout draws the mask
    of this rank's rows, so that all ranks together drop what one process would.

    Args:
        n: the number of examples of all ranks.
        batch_size: the number of examples in a batch, of all ranks together.
        generator: the source of the order; the default generator if None.
        drop_last: whether to drop a last batch that is not full.

    Returns:
        The same number of int64 index arrays on each rank; lengths differ by one at most. Some are empty if the last
        batch holds fewer examples than there are ranks.

    Raises:
        ValueError: a negative n, a batch size below the number of ranks.
    """
    if batch_size < world().size:
        raise ValueError(
            f"batch_size {batch_size} for {world().size} ranks: it counts the examples of all of them: expected at "
            "least one each"
        )
    parts = [(len(batch), batch[share(len(batch))]) for batch in data.batches(n, batch_size, generator, drop_last)]
    return (_with_offset(size, part) for size, part in parts)


def _with_offset(size: int, batch: T) -> T:
    """`batch`, after telling dropout the first row of this rank in a batch of that size."""
    RowsBefore.count = share(size).start
    return batch


class DataLoader(data.DataLoader):
    """`nn.DataLoader` of this rank's share of each batch; `batch_size` counts the examples of all ranks.

    All ranks must have the same dataset and a generator in the same state, see `broadcast`. If the last batch holds
    fewer examples than there are ranks, some ranks get an empty batch: tensors whose first dimension is 0.
    """

    def _parts(self) -> Iterator[npt.NDArray[np.int64]]:
        return (part[share(len(part))] for part in super()._parts())

    def __iter__(self) -> Iterator[Any]:
        n, size = len(self.dataset), self.batch_size
        return (_with_offset(min(size, n - i * size), batch) for i, batch in enumerate(super().__iter__()))

    def _batch(self, indices: npt.NDArray[np.int64]) -> Any:
        return super()._batch(indices) if len(indices) else _empty(super()._batch(np.zeros(1, np.int64)))


def _empty(batch: Any) -> Any:
    """An empty batch of the same structure."""
    if isinstance(batch, Tensor):
        return batch[:0]
    if isinstance(batch, Mapping):
        return {key: _empty(part) for key, part in batch.items()}
    if isinstance(batch, Sequence) and not isinstance(batch, str | bytes):
        parts = [_empty(part) for part in batch if not isinstance(part, str | bytes)]  # texts are dropped
        return batch._make(parts) if hasattr(batch, "_make") else parts
    raise TypeError(
        f"a batch of type {type(batch).__name__} cannot be made empty, as a rank needs if the last batch holds fewer "
        "examples than there are ranks: pass drop_last=True, or a collate_fn that makes tensors"
    )
