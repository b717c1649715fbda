"""Functions that are called with a module: before its forward, and behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Hooks:
    """Those of one module, in the order in which they came."""

    def __init__(self) -> None:
        self.before: dict[object, Callable[..., Any]] = {}
        self.behind: dict[object, Callable[..., Any]] = {}

    def around(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The module's forward between its hooks."""
        for hook in list(self.before.values()):
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        out = module.forward(*args, **kwargs)
        for hook in list(self.behind.values()):
            changed = hook(module, args, out)
            out = out if changed is None else changed
        return out


class Handle:
    """A hook that can be removed; as a context manager it is, at the end."""

    def __init__(self, hooks: dict[object, Callable[..., Any]], hook: Callable[..., Any]) -> None:
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
