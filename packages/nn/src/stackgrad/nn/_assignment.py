"""Assignment to an attribute of a module that holds a parameter, a buffer or a module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .parameter import Buffer, Parameter


class Assigning:
    """The base of `Module`: a name keeps its role, as in PyTorch.

    A tensor assigned to a buffer's name becomes the buffer. A parameter's name accepts only a Parameter or None, a
    module's name only a Module, a Parameter or None. `del` frees a name; None does not.
    """

    # Hidden from type checkers, which would otherwise conclude that a module has every attribute.
    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: object) -> None:
            own = vars(self)
            old = own.get(name)
            role = own.get("_emptied", {}).get(name) if old is None else _role_of(old)
            if role is not None:
                _check(self, name, role, value)
                if sg.capturing.tape is not None and old is not value:
                    buffer = _captured_buffer(self, name, old, value)
                    sg.each_time(lambda: object.__setattr__(self, name, buffer), ahead=True)
                    sg.depends_on(lambda: (own.get(name),))
                    return
                if role is Buffer and _is_plain(value):
                    value = Buffer.of(value)
                if value is None:
                    own["_emptied"] = {**own.get("_emptied", {}), name: role}
            object.__setattr__(self, name, value)

        def __delattr__(self, name: str) -> None:
            object.__delattr__(self, name)
            vars(self)["_emptied"] = {key: role for key, role in vars(self).get("_emptied", {}).items() if key != name}


def _role_of(value: object) -> type | None:
    return next((role for role in (Parameter, Buffer, Assigning) if isinstance(value, role)), None)


def _is_plain(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and not isinstance(value, Parameter | Buffer)


def _check(module: Assigning, name: str, role: type, value: object) -> None:
    """TypeError for a value that the name does not accept."""
    if value is None or isinstance(value, Parameter | (Tensor | Assigning if role is Buffer else role)):
        if role is Buffer and _is_plain(value) and value.requires_grad and value.is_leaf:
            raise TypeError(
                f"{_path(module, name)} is a buffer, which is not trained; got a tensor that requires a gradient and "
                "has no history: assign nn.Parameter(...) to train it, its .detach() to keep its values"
            )
        return
    wanted = {Parameter: "a parameter: assign nn.Parameter(...)", Buffer: "a buffer: assign a Tensor"}
    raise TypeError(
        f"{_path(module, name)} is {wanted.get(role, 'a module: assign a Module')} or None, or `del` it first; "
        f"got {type(value).__name__}"
    )


def _captured_buffer(module: Assigning, name: str, old: object, value: object) -> Buffer:
    """The new buffer in a captured function, which each replay finds as the previous one left it.

    The new values go into the memory that replays read; the old buffer object gets a copy of its values.
    """
    path = _path(module, name)
    if not isinstance(old, Buffer) or not _is_plain(value):
        raise RuntimeError(
            f"{path} was replaced in a captured function, but replays would not replace it: do so outside"
        )
    if value.requires_grad:
        raise RuntimeError(f"{path} was given a tensor with a history in a captured function: assign its .detach()")
    if (value.shape, value.dtype, value.backend) != (old.shape, old.dtype, old.backend):
        raise RuntimeError(
            f"{path}, of shape {old.shape} and {old.dtype}, was given shape {value.shape} and {value.dtype} in a "
            "captured function, whose replays do the same work each time: assign the same shape and dtype"
        )
    new, before, after = Buffer(old), old.detach().clone(), value.clone()
    before.version.count = old.version.count
    old.data, old.version, old.source = before.data, before.version, before.source
    with sg.no_grad():
        new.copy_(after)
    return new


def _path(module: Any, name: str) -> str:
    return f"{type(module).__name__}.{name}"
