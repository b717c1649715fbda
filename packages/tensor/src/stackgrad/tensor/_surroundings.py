"""What a captured function depends on besides its arguments: variables, attributes and lists of Python.

A replay runs no Python, so it is right as long as these are what they were when the function was recorded. They are
found by the names in the function's code and in the code of the functions and methods that it can reach: its globals
and closure, the attributes of those, and so on. Where code asks an object for all its attributes (`vars`, `getattr`),
all count. Tensors, arrays and other objects count by identity, numbers and text by value.

An object with a method `__captured__`, which returns a tuple, says itself what replays depend on: an optimizer's
learning rate, for instance, is read by each replay, and may change. Objects of other libraries are not looked into.
"""

from __future__ import annotations

import inspect
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

from ._autograd import Value

_PLAIN = (bool, int, float, complex, str, bytes)
_ASK_FOR_ALL = {"vars", "getattr", "__dict__"}
_LONG = 1000  # entries of a list or dict; of longer ones the number of entries counts, and not which they are
# Methods that Python calls by itself, and that make, show or copy an object: not what a step does.
_ASIDE = {"__init__", "__new__", "__repr__", "__str__", "__format__", "__getattr__", "__setattr__", "__delattr__"}
_ASIDE |= {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__del__", "__init_subclass__", "__hash__"}


def same(a: Any, b: Any) -> bool:
    """Whether a value is as it was: the same object, or an equal number or text."""
    return a is b or (type(a) is type(b) and isinstance(a, _PLAIN) and (a == b or (a != a and b != b)))


class Entry(NamedTuple):
    """A value, its name for people, and the function and key that read it: None for what does not exist."""

    name: str
    owner: Any
    read: Callable[[Any], Any]
    key: Any
    value: Any

    @property
    def at(self) -> tuple[int, Any]:
        """Which value it is, of all that there are."""
        return id(self.owner), self.read if self.key is self.owner else self.key


class Surroundings:
    """The entries that a function depends on, as they are now."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._names: set[str] = set()
        self._asks = False  # whether a function, no method, asks for all attributes of something
        known = -1
        while len(self._names) > known:  # names lead to functions, and these to more names
            known = len(self._names)
            self._seen: dict[int, Any] = {}
            self.entries = {entry.at: entry for entry in self._of(function, "", asked=True)}
        del self._seen

    def holds(self) -> bool:
        """Whether all entries are as they were."""
        for _, _, read, key, value in self.entries.values():
            now = read(key)
            if now is not value and not same(now, value):
                return False
        return True

    def changed(self) -> dict[tuple[int, Any], Entry]:
        """The entries that are no longer as they were."""
        return {entry.at: entry for entry in self.entries.values() if not same(entry.read(entry.key), entry.value)}

    # --- the walk

    def _of(self, x: Any, name: str, asked: bool = False) -> Iterator[Entry]:
        """The entries that are reached through the value x; `asked` for the function itself."""
        kind = type(x)
        if id(x) in self._seen or isinstance(x, (Value, *_PLAIN)) or x is None:
            return
        self._seen[id(x)] = x  # kept, so that no other gets its id
        if kind is FunctionType:
            if asked or not _is_foreign(x.__module__, of_function=True):
                yield from self._of_function(x)
        elif kind is MethodType:
            yield from self._of(x.__func__, name, asked)
            yield from self._of(x.__self__, "self")
        elif kind is partial:
            for part in (x.func, x.args, x.keywords):
                yield from self._of(part, name, asked)
        elif isinstance(x, (list, tuple, dict, set, deque)):
            yield from self._of_container(x, name)
        elif kind is ModuleType:
            if not _is_foreign(x.__name__):
                yield from self._of_attributes(vars(x), vars(x), name, self._asks)
        elif hasattr(x, "__wrapped__") and callable(x):
            yield from self._of(x.__wrapped__, name, asked)
        elif not hasattr(kind, "__captured__") and not _is_foreign((x if isinstance(x, type) else kind).__module__):
            yield from self._of_object(x, name)

    def _of_function(self, function: FunctionType) -> Iterator[Entry]:
        names = _names_of(function.__code__)
        self._names |= names
        self._asks |= not names.isdisjoint(_ASK_FOR_ALL)
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            found = _content(cell)
            yield Entry(variable, cell, _content, cell, found)
            yield from self._of(found, variable)
        for variable in sorted(names & function.__globals__.keys()):
            found = function.__globals__[variable]
            yield Entry(variable, function.__globals__, function.__globals__.get, variable, found)
            yield from self._of(found, variable)
        for defaults in (function.__defaults__, function.__kwdefaults__):
            yield from self._of(defaults, f"a default of {function.__name__}")

    def _of_container(self, x: Any, name: str) -> Iterator[Entry]:
        if not isinstance(x, tuple):
            yield Entry(name, x, len, x, len(x))
        if isinstance(x, set) or len(x) > _LONG:
            return
        for key, value in list(x.items() if isinstance(x, dict) else enumerate(x)):
            inner = f"{name}[{key!r}]"
            yield Entry(inner, x, x.get if isinstance(x, dict) else partial(_item, x), key, value)
            yield from self._of(value, inner)

    def _of_object(self, x: Any, name: str) -> Iterator[Entry]:
        """Those of the attributes of an object, or of a class, that the code names."""
        classes = [c for c in (x if isinstance(x, type) else type(x)).__mro__ if not _is_foreign(c.__module__)]
        used: set[str] = set()
        for c in classes:
            for attribute, member in list(vars(c).items()):
                if attribute in self._names or (attribute.startswith("__") and attribute not in _ASIDE):
                    for code in _codes_of(member):
                        used |= _names_of(code)
        self._names |= used
        asks = self._asks or not used.isdisjoint(_ASK_FOR_ALL)
        data: dict[str, Any] = {}  # of the classes: what an instance may come to have as its own
        for c in classes:
            own = {key: value for key, value in vars(c).items() if not key.startswith("__") and not _codes_of(value)}
            data |= dict.fromkeys(own)
            if not c.__module__.startswith("stackgrad."):
                yield from self._of_attributes(own, vars(c), c.__name__, asks)
        if not isinstance(x, type) and hasattr(x, "__dict__"):
            yield from self._of_attributes({**data, **vars(x)}, vars(x), name, asks)
            if asks:
                yield Entry(name, vars(x), len, vars(x), len(vars(x)))

    def _of_attributes(self, found: Mapping[str, Any], owner: Any, name: str, every: bool) -> Iterator[Entry]:
        for key, value in list(found.items()):
            if every or key in self._names:
                yield Entry(f"{name}.{key}", owner, owner.get, key, value)
                yield from self._of(value, f"{name}.{key}")


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None


def _item(x: Any, index: int) -> Any:
    return x[index] if index < len(x) else None


def _names_of(code: CodeType) -> set[str]:
    """The names of globals and attributes in the code, and in that of functions inside it."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names_of(constant)
    return names


def _codes_of(member: Any) -> list[CodeType]:
    """The code of a method, or of a property's functions; none for data."""
    functions: list[Any] = [member]
    if isinstance(member, property):
        functions = [member.fget, member.fset]
    elif isinstance(member, (classmethod, staticmethod)):
        functions = [member.__func__]
    elif callable(member) and hasattr(member, "__wrapped__"):
        functions = [inspect.unwrap(member)]
    return [function.__code__ for function in functions if isinstance(function, FunctionType)]


def _is_foreign(module: str | None, of_function: bool = False) -> bool:
    """Whether a module is one of a library, in whose objects nobody puts what a step depends on."""
    package = (module or "builtins").partition(".")[0]
    if package == "stackgrad":
        ours = ("stackgrad.tensor", "stackgrad.kernels") + (("stackgrad.nn",) if of_function else ())
        return str(module).startswith(ours)
    if package in sys.builtin_module_names or package in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
