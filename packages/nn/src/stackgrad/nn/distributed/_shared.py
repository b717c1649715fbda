"""Small buckets of the ranks of one machine, added up in memory that they share.

    rank 0  |....own bucket....|      each rank puts its gradients into its own,
    rank 1  |....own bucket....|      waits for the others, and adds up all of them in the order of the ranks

What MPI copies twice is read once, where it lies; the sums have the bits of `Flight`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import HostBackend, Tensor

from ._buckets import Bucket
from ._flight import Flight, Header
from ._world import world

MOST = 1024**2  # bytes of all ranks: beyond it, MPI is as fast


class Shared:
    """Memory of each rank that all of them read. One backward pass after the other uses it."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._comm = comm
        self.size = MOST // comm.size
        self._window = MPI.Win.Allocate_shared(self.size, comm=comm)
        self._window.Lock_all()  # for good, as MPI has it for loads and stores between calls of Sync
        self.of_ranks: list[Any] = [self._window.Shared_query(rank)[0] for rank in range(comm.size)]
        self.user: Sequence[Bucket] | None = None  # the buckets that lay there last
        self.users = 0  # how often others came

    def meet(self) -> None:
        """Wait for all ranks, and see what they have written."""
        self._window.Sync()
        self._comm.Barrier()
        self._window.Sync()


@cache
def shared() -> Shared | None:
    """None where ranks are on several machines. The first call is one of all ranks."""
    here = world()
    return Shared(here.comm.Dup()) if here.size == here.local_size else None


def flights(buckets: Sequence[Bucket], header: Header, first: Any, second: Any) -> list[Flight]:
    """For each bucket its way in one backward pass."""
    memory, start, made = shared(), 0, list[Flight]()
    for bucket in buckets:
        end = start + bucket.size * bucket.dtype.itemsize
        if memory and end <= memory.size and isinstance(bucket.backend, HostBackend) and bucket.wire is None:
            parts = [np.frombuffer(part, bucket.dtype, bucket.size, start) for part in memory.of_ranks]
            made.append(SharedFlight(bucket, header, first, second, memory, buckets, parts))
            start = -(-end // 64) * 64
        else:
            made.append(Flight(bucket, header, first, second))
    return made


class SharedFlight(Flight):
    """A bucket's memory in one backward pass: the sum, in memory that is this rank's alone."""

    def __init__(
        self,
        bucket: Bucket,
        header: Header,
        first: Any,
        second: Any,
        memory: Shared,
        buckets: Sequence[Bucket],
        parts: Sequence[NDArray[Any]],
    ) -> None:
        super().__init__(bucket, header, first, second)
        self.memory, self.buckets, self.parts = memory, buckets, parts
        self.host = parts[first.rank]  # where this rank's gradients go
        self.filled_for = -1  # which of the users of the memory found there all but gradients

    def put(self, index: int, parameter: Tensor) -> None:
        """Show a parameter's gradient to all ranks. Its `grad` stays what it is until `finish`."""
        gradient = parameter.grad
        assert gradient is not None
        self.bucket.backend.assign(self.view_of(self.host, index), gradient.memory())
        self.waiting.discard(index)

    def start(self) -> None:
        """All is done by `finish`."""

    def poll(self) -> None:
        """All is done by `finish`."""

    def finish(self, alone: bool) -> None:
        self._fill_once()
        share = 1 / self.header.wait()
        self.memory.meet()
        first, second, *rest = self.parts
        with np.errstate(all="ignore"):  # gradients may be infinite
            np.add(first, second, out=self.array)
            for other in rest:
                self.array += other
            self.array *= self.bucket.dtype.type(share)
        self.memory.meet()  # before the others' next gradients

    def _fill_once(self) -> None:
        """As `_fill`, which replays need not do again."""
        memory = self.memory
        if memory.user is not self.buckets:
            memory.user = self.buckets
            memory.users += 1
        whole = not self.missing and bool(self.header.own[0])
        if not whole or self.filled_for != memory.users:
            self._fill()
        self.filled_for = memory.users if whole else -1

    def to_give(self) -> set[int]:
        return set(self.bucket.indices)

    def used(self) -> frozenset[int]:
        return self.used_by(self.array)
