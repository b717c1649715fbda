"""Gradients of several parameters that travel together, and how they are added up.

    parameters  fc2.bias  fc2.weight | fc1.bias   ...  conv1.weight     from the last to the first: so they get ready
    bucket 0   |.........|..........|ff|                                ff: a flag for each, whether it has a gradient
    bucket 1                          |.........|......|...........|ffff|

A bucket is cut into as many segments as there are ranks. Each rank gets its segment of all ranks (Ialltoall), adds them
up in the order of the ranks, divides by the number of samples, and gives the sum to all (Iallgather): so each number is
rounded in the same way, whatever the MPI library does, and all ranks have the same bits. That sends 2 (n - 1) / n times
the bucket, as the best Allreduce does.

The phases of a bucket take place in communicators of their own, in the order of the buckets in each: so the ranks need
not agree on which phase of one bucket comes before which of another.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from stackgrad.tensor import Backend, HostBackend, Tensor

from ._aware import is_cuda_aware


class Bucket:
    """Parameters of one backend and dtype, `members` by their indices, and where the gradient of each lies.

    Attributes:
        spans: for each the slice of the bucket.
        flags: the slice of the flags.
        size: how many values it holds; a multiple of the number of ranks.
        on_host: whether the gradients lie on the host.
        on_device: whether the MPI library reads and writes the memory of its device.
        received: where the segments of all ranks arrive, on the host or the device. Nothing is left there between two
            backward passes, nor in `buffer`.
        buffer: for the gradients of another device, memory of the host through which they go.
        wire: the bucket as it is sent, if compressed.
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
    """Those that require a gradient, from the last parameter to the first, in buckets of about `most` bytes."""
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
    """A checksum of how the buckets of an optimizer are made, which must be the same on all ranks."""
    made = [(b.indices, b.shapes, b.dtype.str, b.compress, b.on_host, b.on_device) for b in buckets]
    return zlib.crc32(repr((optimizer, made)).encode())
