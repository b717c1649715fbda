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
