"""Functions that are called when something has happened: when a leaf has got its gradient, for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from ._tensor import Tensor
    from ._value import Value

Hook = Callable[..., Any]
Hooks = dict[object, Hook]


class Handle:
    """A hook that can be removed; as a context manager it is, at the end."""

    def __init__(self, hooks: Hooks, hook: Hook) -> None:
        self._hooks = hooks
        self._key = object()
        hooks[self._key] = hook

    def remove(self) -> None:
        """Let the hook not be called any more."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


after_gradient: dict[int, tuple[ref[Value], Hooks]] = {}
"""By the id of each leaf that has hooks: few have any, and no leaf pays for a slot."""


def register(leaf: Value, hook: Hook) -> Handle:
    """See `Tensor.register_post_accumulate_grad_hook`."""
    if leaf.node is not None or not leaf.requires_grad:
        raise RuntimeError(
            "register_post_accumulate_grad_hook on a tensor that is no leaf with requires_grad: no gradient is added "
            "to its grad"
        )
    key = id(leaf)
    if key not in after_gradient:
        forget = after_gradient.pop  # bound here: at the end of the interpreter the names of this file may be gone
        after_gradient[key] = ref(leaf, lambda _: forget(key, None)), {}
    return Handle(after_gradient[key][1], hook)


def call(leaf: Tensor) -> None:
    """Call the hooks of a leaf that has got its gradient."""
    found = after_gradient.get(id(leaf))
    for hook in list(found[1].values()) if found else ():
        hook(leaf)
