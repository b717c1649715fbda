"""Comparison and exchange of values between ranks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._tree import flatten
from ..module import Module
from ._call import DisagreementError, meet
from ._world import world


def gather(value: Any) -> list[Any]:
    """The values of all ranks, in rank order, on each rank. A value is any object that pickle supports."""
    return gather_for("gather", value)


def gather_for(call: str, value: Any) -> list[Any]:
    """As `gather`, on behalf of the function named `call`."""
    here = world()
    meet(call)
    return [value] if here.size == 1 else list(here.comm.allgather(value))


def agree(what: str, value: Any) -> None:
    """Raise DisagreementError on all ranks unless their values are equal; it names the ranks that differ.

    Args:
        what: the name of the value in the message.
        value: any object that supports pickle and `==`, short enough for a message: a version, arguments, a digest.
    """
    values = gather_for("agree", value)
    others = [rank for rank, other in enumerate(values) if other != values[0]]
    if others:
        ranks = ", ".join(map(str, others))
        raise DisagreementError(
            f"{what}: rank 0 has {values[0]!r}, rank {others[0]} has {values[others[0]]!r}; "
            f"other than rank 0: {ranks} of {len(values)}"
        )


def digest(state: Module | Mapping[Any, Any]) -> str:
    """SHA-256 of a module's parameters and buffers, or of a state as for `nn.save`: names, shapes and all bits."""
    tensors, nesting = flatten(state.state_dict() if isinstance(state, Module) else state)
    found = hashlib.sha256((nesting or "").encode())
    for name, tensor in sorted(tensors.items()):
        array = np.ascontiguousarray(tensor.detach().numpy())
        found.update(f"{name} {array.dtype.str} {array.shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def expect_same(what: str, state: Module | Mapping[Any, Any]) -> None:
    """Raise DisagreementError on all ranks unless all have the same bits in a module or a state."""
    agree(f"the digest of {what}", digest(state)[:16])
