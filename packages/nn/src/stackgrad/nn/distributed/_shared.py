"""Small buckets of the ranks on one machine, summed in shared memory.

    rank 0  |....own bucket....|      each rank writes its gradients to its own bucket,
    rank 1  |....own bucket....|      waits for the others, and sums all of them in rank order

It reads in place, once, what MPI would copy twice; the sums have the same bits as those of `HostFlight`.
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

MOST = 1024**2  # bytes of all ranks; MPI is as fast above


class Shared:
    """Memory of each rank that all ranks read. One backward pass at a time uses it."""

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._comm = comm
        self.size = MOST // comm.size
        self._window = MPI.Win.Allocate_shared(self.size, comm=comm)
        self._window.Lock_all()  # permanently, as MPI requires for loads and stores between calls of Sync
        self.of_ranks: list[Any] = [self._window.Shared_query(rank)[0] for rank in range(comm.size)]
        self.user: Sequence[Bucket] | None = None  # the buckets that used it last
        self.users = 0  # how often the user changed

    def meet(self) -> None:
        """Wait for all ranks, so that their writes are visible."""
        self._window.Sync()
        self._comm.Barrier()
        self._window.Sync()


@cache
def shared() -> Shared | None:
    """The shared memory; None if ranks are on several machines. All ranks must make the first call together."""
    here = world()
    if here.size > here.local_size:
        return None
    meet("backward")  # a rank that calls another function first raises instead of waiting
    return Shared(here.comm.Dup())


def flights(buckets: Sequence[Bucket], call: Call) -> list[Flight]:
    """A flight for each bucket in one backward pass."""
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
    """The exchange through shared memory; the sum is in this rank's own memory."""

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
        self.host = parts[self.first.rank]  # for this rank's gradients
        self.filled_for = -1  # the user count at the last complete fill

    def put(self, index: int, parameter: Tensor) -> None:
        """Copy a parameter's gradient to shared memory. Its `grad` does not change until `finish`."""
        gradient = parameter.grad
        assert gradient is not None
        self.bucket.backend.assign(self._view_of(self.host, index), gradient.memory())
        self.waiting.discard(index)

    def start(self) -> None:
        """Nothing: `finish` does the work."""

    def poll(self) -> bool:
        """Nothing: `finish` does the work. Later buckets need not wait for this one."""
        return True

    def finish(self, alone: bool) -> None:
        self._fill_once()
        factor = 1 / self.call.samples
        self.memory.meet()
        first, second, *rest = self.parts
        with np.errstate(all="ignore"):  # gradients may be infinite
            np.add(first, second, out=self.array)
            for other in rest:
                self.array += other
            self.array *= self.bucket.dtype.type(factor)
        self.memory.meet()  # before other ranks write their next gradients

    def _fill_once(self) -> None:
        """Call `_fill` if needed; replays can skip it."""
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
