"""Broadcast of states from rank 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackgrad.tensor import Generator, Tensor

from .._tree import flatten, unflatten
from ._call import meet
from ._world import world


def broadcast(*parts: Any) -> None:
    """Copy the states of rank 0 to all ranks in place: parameters and buffers, optimizer states, generators.

    Call it after everything is created or loaded, and before the first step. With one rank it does nothing.

    Args:
        parts: generators, and modules, optimizers, schedules or other objects with `state_dict` and `load_state_dict`;
            the same parts on each rank.

    Raises:
        TypeError: any other object.
        ValueError: on ranks other than 0, a part that does not match the state of rank 0.
    """
    for part in parts:
        if not isinstance(part, Generator) and not hasattr(part, "load_state_dict"):
            raise TypeError(f"broadcast takes modules, optimizers, schedules and generators; got {type(part).__name__}")
    here = world()
    if here.size == 1:
        return
    meet("broadcast")
    for part in parts:
        if isinstance(part, Generator):
            part.seed, part.call = here.comm.bcast((part.seed, part.call))
            continue
        state = here.comm.bcast(_sent(part.state_dict()) if here.rank == 0 else None)
        if here.rank:
            part.load_state_dict(_received(state))


def _sent(state: Mapping[str, Any]) -> Any:
    """A state as arrays and text, which need no backend."""
    tensors, nesting = flatten(state)
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}, nesting


def _received(state: Any) -> dict[str, Any]:
    import stackgrad.tensor as sg

    arrays, nesting = state
    tensors: dict[str, Tensor] = {name: sg.tensor(array, array.dtype) for name, array in arrays.items()}
    return dict(tensors) if nesting is None else unflatten(tensors, nesting)
