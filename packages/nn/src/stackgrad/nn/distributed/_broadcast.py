"""What rank 0 has, on all ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackgrad.tensor import Generator, Tensor

from .._tree import flatten, unflatten
from ._call import meet
from ._world import world


def broadcast(*parts: Any) -> None:
    """Gives all ranks what rank 0 has, in place: parameters and buffers, optimizer states, generators.

    Call it once all of it is made or loaded, and before the first step. Nothing happens in a world of one.

    Args:
        parts: modules, optimizers, schedules and whatever else has `state_dict` and `load_state_dict`, and generators;
            the same on each rank.

    Raises:
        TypeError: something else.
        ValueError: on another rank than 0, for parts that the state of rank 0 does not fit.
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
    """A state as arrays and text, which need no backend to be read."""
    tensors, nesting = flatten(state)
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}, nesting


def _received(state: Any) -> dict[str, Any]:
    import stackgrad.tensor as sg

    arrays, nesting = state
    tensors: dict[str, Tensor] = {name: sg.tensor(array, array.dtype) for name, array in arrays.items()}
    return dict(tensors) if nesting is None else unflatten(tensors, nesting)
