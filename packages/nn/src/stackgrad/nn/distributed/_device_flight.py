"""The exchange of a bucket on a GPU by a CUDA-aware MPI library, without the host."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor._optable import OPS

from ._buckets import Bucket
from ._call import Call
from ._flight import Flight


class DeviceFlight(Flight):
    """Each rank sends every other rank its segment, and then the sum of its own segment.

    It uses point-to-point messages, since Open MPI has no non-blocking collectives for GPU memory.
    """

    def __init__(self, bucket: Bucket, call: Call) -> None:
        super().__init__(bucket, call)
        rank, size, segment = self.first.rank, self.first.size, bucket.segment
        self._segments = [self._part(slice(i * segment, (i + 1) * segment)) for i in range(size)]
        self._own = self._segments[rank]
        self._received = [bucket.backend.slice(bucket.received, (i,)) for i in range(size)]
        self._summed = [self._own if i == rank else part for i, part in enumerate(self._received)]
        from mpi4py import MPI

        self._all_done, self._wait_for_all = MPI.Request.Testall, MPI.Request.Waitall

    def start(self) -> None:
        self._fill()
        self.requests = [self._exchange(self.first, self._segments, self._received)]

    def poll(self) -> bool:
        if len(self.requests) == 1 and self._all_done(self.requests[0]):
            self._sum_segment()
            self.requests.append(self._exchange(self.second, [self._own] * len(self._segments), self._segments))
        return len(self.requests) == 2

    def finish(self, alone: bool) -> None:
        if alone:
            self.start()
        self._wait_for_all(self.requests[0])
        self.poll()
        self._wait_for_all(self.requests[1])

    def _flags(self) -> NDArray[Any]:
        return self.bucket.backend.to_numpy(self._part(self.bucket.flags))

    def _part(self, span: slice) -> Any:
        return self.bucket.backend.slice(self.array, (span,))

    def _exchange(self, comm: Any, sent: list[Any], received: list[Any]) -> list[Any]:
        """Start to send an array to every other rank and to receive one from each."""
        others = [rank for rank in range(comm.size) if rank != comm.rank]
        receiving = [comm.Irecv(_GpuArray(received[rank]), rank) for rank in others]
        return receiving + [comm.Isend(_GpuArray(sent[rank]), rank) for rank in others]

    def _fill(self) -> None:
        bucket, assign = self.bucket, self.bucket.backend.assign
        zero = bucket.backend.constant(0, bucket.dtype)
        if not self.call.own_samples:
            assign(self._part(slice(0, bucket.flags.start)), zero)  # no samples, no gradient
        rest = np.zeros(bucket.size - bucket.flags.start, bucket.dtype)
        rest[: len(bucket.indices)] = [index not in self.missing for index in bucket.indices]
        assign(self._part(slice(bucket.flags.start, bucket.size)), bucket.backend.from_numpy(rest))
        for index in self.missing:
            assign(self._part(bucket.spans[bucket.indices.index(index)]), zero)

    def _sum_segment(self) -> None:
        """Sum this rank's segment over the ranks, in rank order, and divide by the number of samples."""
        backend = self.bucket.backend
        total = reduce(lambda x, y: backend.elementwise(OPS["add"], x, y), self._summed)
        factor = backend.constant(1 / self.call.samples, self.bucket.dtype)
        backend.assign(self._own, backend.elementwise(OPS["mul"], total, factor))


class _GpuArray:
    """A GPU array for mpi4py. Reading its interface waits for all launches, since MPI does not know streams."""

    def __init__(self, array: Any) -> None:
        self.__cuda_array_interface__ = array.__cuda_array_interface__
        self._array = array  # a request keeps this object, which keeps the memory
