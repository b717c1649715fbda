"""Hooks: functions to call after an event, such as a leaf receiving its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import ref

if TYPE_CHECKING:
    from ._tensor import Tensor
    from ._value import Value


class Handle:
    """A handle that removes a hook. As a context manager, it does so at the end."""

    def __init__(self, hooks: dict[object, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._key = object()
        hooks[self._key] = hook

    def __repr__(self) -> str:
        hook = self._hooks.get(self._key)
        return f"Handle({'removed' if hook is None else getattr(hook, '__qualname__', repr(hook))})"

    def remove(self) -> None:
        """Remove the hook."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


after_gradient: dict[int, tuple[ref[Value], dict[object, Callable[..., Any]]]] = {}
"""The hooks by id of their leaf: few leaves have any, so a slot on each would be wasted."""


def register(leaf: Value, hook: Callable[..., Any]) -> Handle:
    """See `Tensor.register_post_accumulate_grad_hook`."""
    if not callable(hook):
        raise TypeError(f"register_post_accumulate_grad_hook: hook must be a function; got {type(hook).__name__}")
    if leaf.node is not None or not leaf.requires_grad:
        raise RuntimeError(
            "register_post_accumulate_grad_hook on a tensor that is not a leaf with requires_grad: no gradient is "
            "added to its grad"
        )
    key = id(leaf)
    if key not in after_gradient:
        forget = after_gradient.pop  # bound here: this module's names may be gone when the interpreter exits
        after_gradient[key] = ref(leaf, lambda _: forget(key, None)), {}
    return Handle(after_gradient[key][1], hook)


def call(leaf: Tensor) -> None:
    """Call the hooks of a leaf that has received its gradient."""
    found = after_gradient.get(id(leaf))
    for hook in list(found[1].values()) if found else ():
        hook(leaf)
