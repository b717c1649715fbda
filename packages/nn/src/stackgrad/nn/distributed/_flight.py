"""A bucket's way in one backward pass: from this rank's gradients to the mean over the samples of all ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import HostBackend, Tensor

from ._agree import DisagreementError
from ._buckets import Bucket
from ._wire import from_bfloat16, to_bfloat16


class Header:
    """What all ranks tell at the beginning of a backward pass: their samples, and how their buckets are made."""

    def __init__(self, comm: Any, samples: int, signature: int) -> None:
        self.comm = comm
        self.own = np.array([samples, signature], np.int64)
        self.all = np.empty((comm.size, 2), np.int64)
        self.request: Any = None
        self.total = 0

    def start(self) -> None:
        self.total = 0
        self.request = self.comm.Iallgather(self.own, self.all)

    def wait(self) -> int:
        """The samples of all ranks. Raises DisagreementError for other buckets, ValueError for no samples."""
        if self.total:
            return self.total
        self.request.Wait()
        samples, made = self.all.T.tolist()
        if made.count(made[0]) < len(made):
            others = [rank for rank, other in enumerate(made) if other != made[0]]
            raise DisagreementError(
                f"backward: ranks {others} of {len(made)} have parameters of other shapes or dtypes than rank 0, or "
                "others of them frozen: make the model and the optimizer alike on all ranks"
            )
        self.total = sum(samples)
        if not self.total:
            raise ValueError(f"backward of 0 samples on each of {len(made)} ranks: expected 1 or more on one of them")
        return self.total


class Flight:
    """A bucket's memory in one backward pass: filled as gradients come, sent, and added up in place.

    Each method but `put` is work on the host, which replays of a captured function do again.
    """

    def __init__(self, bucket: Bucket, header: Header, first: Any, second: Any) -> None:
        self.bucket, self.header = bucket, header
        self.first, self.second = first, second  # the communicators of the two phases
        self.array = bucket.backend.empty((bucket.size,), bucket.dtype)
        self.on_host = isinstance(bucket.backend, HostBackend)
        self.host: NDArray[Any] = self.array if self.on_host else np.empty(bucket.size, bucket.dtype)
        self.sent: NDArray[Any] = self.host if bucket.wire is None else bucket.wire
        self.own = self.sent[first.rank * bucket.segment :][: bucket.segment]  # this rank's segment
        self.waiting = set(bucket.indices)
        self.missing: set[int] = set()
        self.requests: list[Any] = []
        from mpi4py import MPI

        self.in_place = MPI.IN_PLACE  # each rank's segment lies where all want it

    def view(self, index: int) -> Any:
        """The memory for the gradient of a parameter, in its shape."""
        return self.view_of(self.array, index)

    def view_of(self, array: Any, index: int) -> Any:
        """A parameter's part of such an array, in its shape."""
        at = self.bucket.indices.index(index)
        backend = self.bucket.backend
        return backend.reshape(backend.slice(array, (self.bucket.spans[at],)), self.bucket.shapes[at])

    def put(self, index: int, parameter: Tensor) -> None:
        """Bring a parameter's gradient here; its `grad` is from then on the one here."""
        gradient = parameter.grad
        assert gradient is not None
        view = self.view(index)
        self.bucket.backend.assign(view, gradient.memory())
        parameter.give_grad(gradient.new(view))
        self.waiting.discard(index)

    def start(self) -> None:
        """Begin to exchange segments."""
        self._fill()
        self.requests = [self.first.Ialltoall(self.sent, self.bucket.received)]

    def poll(self) -> None:
        """Begin to hand on the sum, if all segments have come."""
        if len(self.requests) == 1 and self.requests[0].Test():
            self._add_up()
            self.requests.append(self.second.Iallgather(self.in_place, self.sent))

    def finish(self, alone: bool) -> None:
        """Wait until the sums of all ranks are here; `alone` where nothing was started, which takes less time."""
        if alone:
            self._fill()
            self.first.Alltoall(self.sent, self.bucket.received)
            self._add_up()
            self.second.Allgather(self.in_place, self.sent)
        else:
            self.requests[0].Wait()
            self.poll()
            self.requests[1].Wait()
        if self.bucket.wire is not None:
            self.host[:] = from_bfloat16(self.bucket.wire)
        if not self.on_host:
            self.bucket.backend.assign(self.array, self.bucket.backend.from_numpy(self.host))

    def used(self) -> frozenset[int]:
        """The parameters that have a gradient on some rank, after `finish`."""
        return self.used_by(self.host)

    def to_give(self) -> set[int]:
        """The parameters whose `grad` is not here yet, after `finish`."""
        return self.missing

    def used_by(self, array: NDArray[Any]) -> frozenset[int]:
        flags = array[self.bucket.flags]
        if flags.all():
            return self.bucket.members
        return frozenset(index for index, flag in zip(self.bucket.indices, flags, strict=True) if flag)

    def _fill(self) -> None:
        if not self.on_host:
            np.copyto(self.host, self.bucket.backend.to_numpy(self.array))
        if not self.header.own[0]:
            self.host[: self.bucket.flags.start] = 0  # the gradient of the mean over nothing
        flags = self.host[self.bucket.flags]
        flags[:] = 1
        for index in self.missing:
            at = self.bucket.indices.index(index)
            self.host[self.bucket.spans[at]] = flags[at] = 0
        self.host[self.bucket.flags.stop :] = 0
        if self.bucket.wire is not None:
            to_bfloat16(self.host, self.bucket.wire)

    def _add_up(self) -> None:
        """This rank's segment: the sum over the ranks, in their order, divided by the samples."""
        first, second, *rest = self.bucket.received
        share = 1 / self.header.wait()
        with np.errstate(all="ignore"):  # gradients may be infinite
            if self.bucket.wire is None:
                np.add(first, second, out=self.own)
                for other in rest:
                    self.own += other
                self.own *= self.bucket.dtype.type(share)
            else:
                total = from_bfloat16(first)
                for other in (second, *rest):
                    total += from_bfloat16(other)
                total *= np.float32(share)
                to_bfloat16(total, self.own)
