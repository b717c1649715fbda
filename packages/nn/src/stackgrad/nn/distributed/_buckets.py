"""Buckets: gradients of several parameters that travel together.

    parameters  fc2.bias  fc2.weight | fc1.bias   ...  conv1.weight     last to first, as they become ready
    bucket 0   |.........|..........|ff|                                ff: a flag for each, whether it has a gradient
    bucket 1                          |.........|......|...........|ffff|

A bucket has one segment per rank. Each rank receives its segment from all ranks (Ialltoall), sums them in rank order,
divides by the number of samples, and sends the result to all ranks (Iallgather). So every value is rounded in the same
way, whatever the MPI library does, and all ranks have the same bits. This sends 2 (n - 1) / n times the bucket, as the
best Allreduce does.

Each phase has its own communicator, in which the buckets keep their order. So the ranks need not agree on the order of
one bucket's first phase and another's second.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from stackgrad.tensor import Backend, HostBackend, Tensor

from ._aware import is_cuda_aware


class Bucket:
    """Parameters of one backend and dtype, by index, and the layout of their gradients.

    Attributes:
        spans: the slice of the bucket for each parameter.
        flags: the slice of the flags.
        size: the number of values in the bucket, a multiple of the number of ranks.
        on_host: whether the gradients are in host memory.
        on_device: whether the MPI library accesses the device memory itself.
        received: memory for the segments of all ranks, on the host or the device. It keeps nothing between backward
            passes, and neither does `buffer`.
        buffer: host memory through which gradients of a device travel.
        wire: the compressed bucket to send, or None.
    """

    def __init__(self, indices: list[int], params: Sequence[Tensor], ranks: int, compress: bool) -> None:
        self.indices, self.members = indices, frozenset(indices)
        self.shapes = [params[index].shape for index in indices]
        self.backend: Backend = params[indices[0]].backend
        self.dtype = params[indices[0]].dtype
        ends = np.cumsum([params[index].numel() for index in indices]).tolist()
        self.spans = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
        self.flags = slice(ends[-1], ends[-1] + len(indices))
        self.segment = -(-self.flags.stop // ranks)
        self.size = self.segment * ranks
        self.compress = compress
        wire = np.dtype(np.uint16) if compress else self.dtype
        self.on_host = isinstance(self.backend, HostBackend)
        by_mpi = not self.on_host and not compress and is_cuda_aware()
        there = self.backend.empty((ranks, self.segment), wire) if by_mpi else None
        self.on_device = hasattr(there, "__cuda_array_interface__")
        self.received: Any = there if self.on_device else np.empty((ranks, self.segment), wire)
        through_host = not self.on_host and not self.on_device
        self.buffer = self.backend.host_buffer((self.size,), self.dtype) if through_host else None
        self.wire = np.empty(self.size, wire) if compress else None


def make_buckets(params: Sequence[Tensor], most: int, ranks: int, compress: bool) -> list[Bucket]:
    """Buckets of about `most` bytes for the parameters that require a gradient, from the last to the first."""
    groups: list[list[int]] = []
    open_groups: dict[Any, list[int]] = {}
    for index in reversed(range(len(params))):
        x = params[index]
        if not x.requires_grad:
            continue
        key = (x.backend, x.dtype)
        if key not in open_groups:
            groups.append([])
            open_groups[key] = groups[-1]
        open_groups[key].append(index)
        if sum(params[i].numel() for i in open_groups[key]) * x.dtype.itemsize >= most:
            del open_groups[key]
    return [Bucket(group, params, ranks, compress) for group in groups]


def signature(buckets: Sequence[Bucket], optimizer: int) -> int:
    """A checksum of the layout of an optimizer's buckets, which must be equal on all ranks."""
    made = [(b.indices, b.shapes, b.dtype.str, b.compress, b.on_host, b.on_device) for b in buckets]
    return zlib.crc32(repr((optimizer, made)).encode())
