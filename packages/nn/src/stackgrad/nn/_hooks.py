"""Functions that run before and after the forward of a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Hooks:
    """The hooks of one module, in the order of registration."""

    def __init__(self) -> None:
        self.before: dict[object, Callable[..., Any]] = {}
        self.after: dict[object, Callable[..., Any]] = {}

    # Not `call`: a captured function that reads an attribute of that name is taken to read a generator's.
    def invoke(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the hooks and, between them, the module's forward."""
        for hook in list(self.before.values()):
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        out = module.forward(*args, **kwargs)
        for hook in list(self.after.values()):
            changed = hook(module, args, out)
            out = out if changed is None else changed
        return out
