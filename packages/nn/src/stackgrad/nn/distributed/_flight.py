"""A bucket in one backward pass, from this rank's gradients to the mean over the samples of all ranks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import Tensor

from ._buckets import Bucket
from ._call import Call
from ._wire import from_bfloat16, to_bfloat16
from ._world import world


class Flight(ABC):
    """A bucket's memory in one backward pass: gradients fill it, then it is sent and summed in place.

    All methods except `view`, `put` and `to_give` work on the host; replays of a captured function repeat them.
    """

    def __init__(self, bucket: Bucket, call: Call) -> None:
        self.bucket, self.call = bucket, call
        self.first, self.second = world().phases
        self.array = bucket.backend.empty((bucket.size,), bucket.dtype)
        self.waiting = set(bucket.indices)
        self.missing: set[int] = set()
        self.requests: list[Any] = []  # one for each started phase

    def view(self, index: int) -> Any:
        """The memory for the gradient of a parameter, in the parameter's shape."""
        return self._view_of(self.array, index)

    def _view_of(self, array: Any, index: int) -> Any:
        """A parameter's part of `array`, in the parameter's shape."""
        position = self.bucket.indices.index(index)
        backend = self.bucket.backend
        return backend.reshape(backend.slice(array, (self.bucket.spans[position],)), self.bucket.shapes[position])

    def put(self, index: int, parameter: Tensor) -> None:
        """Copy a parameter's gradient into the bucket; `grad` then refers to the copy."""
        gradient = parameter.grad
        assert gradient is not None
        view = self.view(index)
        self.bucket.backend.assign(view, gradient.memory())
        parameter.give_grad(gradient.new(view))
        self.waiting.discard(index)

    @abstractmethod
    def start(self) -> None:
        """Start to exchange segments."""

    @abstractmethod
    def poll(self) -> bool:
        """Start to send the sum if all segments have arrived. Return whether that has started."""

    @abstractmethod
    def finish(self, alone: bool) -> None:
        """Wait until the sums of all ranks have arrived; `alone` if nothing was started."""

    @abstractmethod
    def _flags(self) -> NDArray[Any]:
        """For each parameter of the bucket, after `finish`: nonzero if any rank has a gradient for it."""

    def to_give(self) -> set[int]:
        """The parameters whose `grad` does not refer to the bucket yet, after `finish`."""
        return self.missing

    def used(self) -> frozenset[int]:
        """The parameters with a gradient on any rank, after `finish`."""
        flags = self._flags()
        if flags.all():
            return self.bucket.members
        return frozenset(index for index, flag in zip(self.bucket.indices, flags, strict=True) if flag)


class HostFlight(Flight):
    """The exchange through the host: gradients of a device pass through the bucket's buffer."""

    def __init__(self, bucket: Bucket, call: Call) -> None:
        super().__init__(bucket, call)
        self.buffer = bucket.buffer
        self.host: NDArray[Any] = self.array if self.buffer is None else self.buffer.values
        self.sent: NDArray[Any] = self.host if bucket.wire is None else bucket.wire
        self.own = self.sent[self.first.rank * bucket.segment :][: bucket.segment]  # this rank's segment
        from mpi4py import MPI

        self.in_place = MPI.IN_PLACE  # each rank's segment is already in position

    def start(self) -> None:
        self._fill()
        self.requests = [self.first.Ialltoall(self.sent, self.bucket.received)]

    def poll(self) -> bool:
        if len(self.requests) == 1 and self.requests[0].Test():
            self._sum_segment()
            self.requests.append(self.second.Iallgather(self.in_place, self.sent))
        return len(self.requests) == 2

    def finish(self, alone: bool) -> None:
        if alone:  # blocking calls are faster
            self._fill()
            self.first.Alltoall(self.sent, self.bucket.received)
            self._sum_segment()
            self.second.Allgather(self.in_place, self.sent)
        else:
            self.requests[0].Wait()
            self.poll()
            self.requests[1].Wait()
        if self.bucket.wire is not None:
            self.host[:] = from_bfloat16(self.bucket.wire)
        if self.buffer is not None:
            self.buffer.upload(self.array)

    def _flags(self) -> NDArray[Any]:
        return self.host[self.bucket.flags]

    def _fill(self) -> None:
        if self.buffer is not None:
            self.buffer.download(self.array)
        if not self.call.own_samples:
            self.host[: self.bucket.flags.start] = 0  # no samples, no gradient
        flags = self.host[self.bucket.flags]
        flags[:] = 1
        for index in self.missing:
            position = self.bucket.indices.index(index)
            self.host[self.bucket.spans[position]] = flags[position] = 0
        self.host[self.bucket.flags.stop :] = 0
        if self.bucket.wire is not None:
            to_bfloat16(self.host, self.bucket.wire)

    def _sum_segment(self) -> None:
        """Sum this rank's segment over the ranks, in rank order, and divide by the number of samples."""
        first, second, *rest = self.bucket.received
        factor = 1 / self.call.samples
        with np.errstate(all="ignore"):  # gradients may be infinite
            if self.bucket.wire is None:
                np.add(first, second, out=self.own)
                for other in rest:
                    self.own += other
                self.own *= self.bucket.dtype.type(factor)
            else:
                total = from_bfloat16(first)
                for other in (second, *rest):
                    total += from_bfloat16(other)
                total *= np.float32(factor)
                to_bfloat16(total, self.own)
