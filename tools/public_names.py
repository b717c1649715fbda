"""The names that the packages offer, by module: what the reference of the site describes, and what has examples."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from types import ModuleType
from typing import Any

MODULES = (
    *(f"stackgrad.tensor{name}" for name in ("", ".autograd", ".linalg", ".cuda", ".array_api", ".types", ".testing")),
    *(f"stackgrad.kernels{name}" for name in ("", ".course", ".cpu", ".cuda")),
    *(f"stackgrad.nn.{name}" for name in ("functional", "init", "optim", "optim.lr_scheduler", "optim.swa_utils")),
    *(f"stackgrad.nn{name}" for name in ("", ".types", ".utils", ".data", ".saving", ".distributed", ".course")),
    "stackgrad.mnist",
)
"""Those that users import. What several offer is described where it stands first."""

ONLY_TYPES = ("stackgrad.tensor.types.", "stackgrad.nn.types.")
"""The beginnings of the names of types that signatures need, such as the base class of tensors."""


def public_names(module: ModuleType) -> list[str]:
    """What a module offers besides modules: `__all__`, or without one whatever it defines under a public name."""
    listed: list[str] | None = getattr(module, "__all__", None)
    if listed is None:
        own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
        return sorted(name for name in own if not name.startswith("_"))
    parts = [importlib.import_module(f"{module.__name__}.{part}") for part in getattr(module, "_MORE", ())]
    names = {*listed, *(name for part in parts for name in part.__all__)}  # `parts` are imported on first use
    return sorted(name for name in names if not isinstance(getattr(module, name), ModuleType))


def borrowed(value: object) -> bool:
    """Whether this is Python's or NumPy's own, as `pi` and `finfo` are."""
    if value is Any:  # the array of any backend
        return False
    return isinstance(value, float) or (inspect.isclass(value) and not value.__module__.startswith("stackgrad."))


@cache
def public_values() -> dict[str, Any]:
    """What each public name stands for, by its full name, module by module, without what is borrowed."""
    modules = [importlib.import_module(module) for module in MODULES]
    values = {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in public_names(module)}
    return {name: value for name, value in values.items() if not borrowed(value)}


def methods(cls: type) -> dict[str, Any]:
    """The public methods and properties of a class, as functions, without those of another public class."""
    public = {name: value for name, value in public_values().items() if not name.startswith(ONLY_TYPES)}
    classes = [value for value in public.values() if inspect.isclass(value) and value is not cls]
    bases = [base for base in classes if issubclass(cls, base)]
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        for name, member in vars(base).items():
            function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
            function = function.fget if isinstance(function, property) else function
            known = name.startswith("_") or any(hasattr(base, name) for base in bases)
            if inspect.isfunction(function) and function.__qualname__.startswith(f"{base.__qualname__}.") and not known:
                found.setdefault(name, function)
    return found


@cache
def described_in() -> dict[int, str]:
    """For each public class, method and function, by its identity, the name under which the reference describes it."""
    found: dict[int, str] = {}
    values = {name: value for name, value in public_values().items() if callable(value)}
    aliases = {
        name for name, value in values.items() if inspect.isclass(value) and not name.endswith(f".{value.__name__}")
    }
    for name, value in values.items():
        if inspect.isclass(value) and name not in aliases and found.setdefault(id(value), name) == name:
            for method, function in methods(value).items():
                found.setdefault(id(function), f"{name}.{method}")
    for name, value in values.items():
        # A function that wraps a method, as stackgrad.tensor.exp does, is described as that method.
        found.setdefault(id(value), found.get(id(inspect.unwrap(value)), name))
    return found
