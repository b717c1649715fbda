"""Small buckets of the ranks of one machine, added up in memory that they share.

    rank 0  |....own bucket....|      each rank puts its gradients into its own,
    rank 1  |....own bucket....|      waits for the others, and adds up all of them in the order of the ranks

What MPI copies twice is read once, where it lies; the sums have the bits of `HostFlight`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import Tensor

from ._buckets import Bucket
from ._call import Call, meet
from ._device_flight import DeviceFlight
from ._flight import Flight, HostFlight
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
    if here.size > here.local_size:
        return None
    meet("backward")  # ranks that call another function first are told, and do not wait for this
    return Shared(here.comm.Dup())


def flights(buckets: Sequence[Bucket], call: Call) -> list[Flight]:
    """For each bucket its way in one backward pass."""
    memory, start, made = shared(), 0, list[Flight]()
    for bucket in buckets:
        end = start + bucket.size * bucket.dtype.itemsize
        if bucket.on_device:
            made.append(DeviceFlight(bucket, call))
        elif memory and end <= memory.size and bucket.on_host and bucket.wire is None:
            parts = [np.frombuffer(part, bucket.dtype, bucket.size, start) for part in memory.of_ranks]
            made.append(SharedFlight(bucket, call, memory, buckets, parts))
            start = -(-end // 64) * 64
        else:
            made.append(HostFlight(bucket, call))
    return made


class SharedFlight(HostFlight):
    """A bucket's memory in one backward pass: the sum, in memory that is this rank's alone."""

    def __init__(
        self,
        bucket: Bucket,
        call: Call,
        memory: Shared,
        buckets: Sequence[Bucket],
        parts: Sequence[NDArray[Any]],
    ) -> None:
        super().__init__(bucket, call)
        self.memory, self.buckets, self.parts = memory, buckets, parts
        self.host = parts[self.first.rank]  # where this rank's gradients go
        self.filled_for = -1  # which of the users of the memory found there all but gradients

    def put(self, index: int, parameter: Tensor) -> None:
        """Show a parameter's gradient to all ranks. Its `grad` stays what it is until `finish`."""
        gradient = parameter.grad
        assert gradient is not None
        self.bucket.backend.assign(self._view_of(self.host, index), gradient.memory())
        self.waiting.discard(index)

    def start(self) -> None:
        """All is done by `finish`."""

    def poll(self) -> bool:
        """All is done by `finish`, so that later buckets need not wait for this one."""
        return True

    def finish(self, alone: bool) -> None:
        self._fill_once()
        share = 1 / self.call.samples
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
        whole = not self.missing and self.call.own_samples > 0
        if not whole or self.filled_for != memory.users:
            self._fill()
        self.filled_for = memory.users if whole else -1

    def to_give(self) -> set[int]:
        return set(self.bucket.indices)

    def _flags(self) -> NDArray[Any]:
        return self.array[self.bucket.flags]  # type: ignore[no-any-return]
