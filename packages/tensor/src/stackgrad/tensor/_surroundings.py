"""What a captured function depends on besides its arguments: variables, attributes and lists of Python.

A replay runs no Python, so it is right as long as these are what they were when the function was recorded. They are
found by the function's code and the code of the functions and methods that it can reach: its globals and closure, the
attributes of those that it uses, and so on. An attribute of a value of which the code does not say where it comes from
counts for every object that has one. Where code asks an object for all its attributes (`vars`, `getattr`), all count.
Tensors and other objects count by identity, numbers and text by value, NumPy arrays by their elements where they are
few. NumPy's and Python's random generators must not have drawn: a replay would not draw.

What code of `each_time` alone uses does not count: each replay reads it. An object with a method `__captured__`, such
as an optimizer, whose settings replays read, says itself what its methods depend on; of its attributes count those
that other code uses. Of the objects of other libraries the attributes count that code uses, and not what
their methods do.
"""

from __future__ import annotations

import inspect
import pickle
import random
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from io import IOBase
from operator import call, is_
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ._uses import Uses, uses_of
from ._value import Value

_PLAIN = (bool, int, float, complex, str, bytes, frozenset)
_LONG = 1000  # entries of a list, dict or array; of longer ones only how many there are counts


def _is_random(x: Any) -> bool:
    """Whether it is a generator of Python's or NumPy's. Before numpy.random is imported there are none of these."""
    if isinstance(x, random.Random):
        return True
    numpys = sys.modules.get("numpy.random")
    return numpys is not None and isinstance(x, (numpys.RandomState, numpys.Generator, numpys.BitGenerator))


# Methods that Python calls by itself, and that make, show or copy an object: not what a step does.
_ASIDE = {"__init__", "__new__", "__repr__", "__str__", "__format__", "__getattr__", "__setattr__", "__delattr__"}
_ASIDE |= {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__del__", "__init_subclass__", "__hash__"}


def same(a: Any, b: Any) -> bool:
    """Whether a value is as it was: the same object, or an equal number or text."""
    return a is b or (type(a) is type(b) and isinstance(a, _PLAIN) and (a == b or (a != a and b != b)))


Guard: TypeAlias = tuple[Callable[[], Sequence[Any]], Sequence[Any]]
"""What reads some values, and those that it gives as long as a recording is right."""


def holds(guard: Guard) -> bool:
    """Whether all values of a guard are as they were."""
    read, values = guard
    now = read()
    return len(now) == len(values) and (all(map(is_, now, values)) or all(map(same, now, values)))


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

    @property
    def array(self) -> NDArray[Any] | None:
        """The NumPy array whose elements it is."""
        return self.owner if isinstance(self.owner, np.ndarray) else None

    @property
    def lasts(self) -> bool:
        """Whether it is to be as it was also between recording and replay. Generators may draw for others."""
        return self.read is not _drawn


class Surroundings:
    """The entries that a function depends on, as they are now; `without` those that only these codes use."""

    def __init__(self, function: Callable[..., Any], without: frozenset[CodeType] = frozenset()) -> None:
        self._without = without
        self._name = getattr(function, "__name__", type(function).__name__)
        self._loose: set[str] = set()  # attributes that count for every object
        self._wanted: dict[int, set[str]] = {}  # attributes that count for one object, by its id
        self._asks = False  # whether a function, no method, asks for all attributes of something
        self._grew = True
        while self._grew:  # attributes lead to functions, and these to more attributes
            self._grew = False
            self._seen: dict[int, Any] = {}
            self.entries = {entry.at: entry for entry in self._of(function, self._name, asked=True)}
        del self._seen

    def guard(self) -> Guard:
        """What reads the values of all entries, and those that they have."""
        entries = self.entries.values()
        reads, keys = [entry.read for entry in entries], [entry.key for entry in entries]
        return lambda: list(map(call, reads, keys)), [entry.value for entry in entries]

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
                yield from self._of_attributes(x, vars(x), vars(x), name, every=False)
        elif kind is MethodType:
            if not hasattr(type(x.__self__), "__captured__"):  # which says what its methods depend on
                yield from self._of_method(x.__func__, x.__self__)
            yield from self._of(x.__self__, "self")
        elif kind is partial:
            for part in (x.func, x.args, x.keywords):
                yield from self._of(part, name, asked)
        elif isinstance(x, (list, tuple, dict, set, deque)):
            yield from self._of_container(x, name)
        elif kind is ModuleType:
            yield from self._of_module(x, name)
        elif kind is BuiltinMethodType or _is_random(x):
            yield from self._of_random(x if _is_random(x) else x.__self__, name)
        elif isinstance(x, (np.ndarray, array, bytearray)):
            if np.size(x) <= _LONG and not (isinstance(x, np.ndarray) and x.dtype.hasobject):
                yield Entry(name, x, _elements, x, _elements(x))
        elif hasattr(x, "__wrapped__") and callable(x):
            yield from self._of(x.__wrapped__, name, asked)
        elif hasattr(kind, "__captured__"):
            yield from self._of_named(x, name)
        elif not _is_foreign((x if isinstance(x, type) else kind).__module__):
            yield from self._of_object(x, name)
        elif isinstance(x, Iterator) and not isinstance(x, IOBase):
            raise RuntimeError(
                f"a captured function uses {name}, an iterator, whose next value a replay would not take: take it "
                "outside, and pass it"
            )
        elif kind.__module__.startswith("stackgrad."):
            yield from self._of_named(x, name)
        elif not isinstance(x, type):
            yield from self._of_attributes(x, getattr(x, "__dict__", {}), getattr(x, "__dict__", {}), name, self._asks)

    def _of_module(self, x: ModuleType, name: str) -> Iterator[Entry]:
        if not _is_foreign(x.__name__):
            yield from self._of_attributes(x, vars(x), vars(x), name, self._asks)
        elif x is random:
            yield from self._of_random(random._inst, name)
        elif x is sys.modules.get("numpy.random") or (x is np and "random" in self._wanted.get(id(np), ())):
            yield from self._of_random(np.random.mtrand._rand, f"{name}.random" if x is np else name)

    def _of_random(self, x: Any, name: str) -> Iterator[Entry]:
        if _is_random(x):
            yield Entry(name, x, _drawn, x, _drawn(x))

    def _of_function(self, function: FunctionType) -> Iterator[Entry]:
        self._asks |= self._uses(function).asks
        yield from self._of_variables(function, None)

    def _uses(self, function: FunctionType) -> Uses:
        return uses_of(function.__code__, self._without)

    def _of_method(self, function: Any, owner: Any) -> Iterator[Entry]:
        """The entries of a method of `owner`, its first argument."""
        function = inspect.unwrap(function)
        if isinstance(function, FunctionType):
            yield from self._of_variables(function, owner)
        else:
            yield from self._of(function, "", asked=True)

    def _of_variables(self, function: FunctionType, owner: Any) -> Iterator[Entry]:
        """The globals and free variables that a function uses. Notes the attributes of these and of `owner`."""
        code, variables = function.__code__, function.__globals__
        if code in self._without:
            return
        cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        ours = _is_foreign(function.__module__, of_function=True)
        used = self._uses(function)
        self._want(used, owner, code.co_varnames[:1], cells, variables)
        free = {chain.variable for chain in used.chains if chain.where == "free"}
        for variable in sorted(free & cells.keys()):
            cell = cells[variable]
            found = _content(cell)
            yield Entry(variable, cell, _content, cell, found)
            yield from self._of(found, variable)
        names = {chain.variable for chain in used.chains if chain.where == "global"}
        for variable in () if ours else sorted(names & variables.keys()):
            yield Entry(variable, variables, variables.get, variable, variables[variable])
            yield from self._of(variables[variable], variable)
        for defaults in (function.__defaults__, function.__kwdefaults__):
            yield from self._of(defaults, f"a default of {function.__name__}")

    def _want(
        self, used: Uses, owner: Any, first: tuple[str, ...], cells: dict[str, CellType], variables: dict[str, Any]
    ) -> None:
        """Note which attributes of which objects a code uses, and which of any."""
        self._add(self._loose, used.loose)
        for variable, where, attributes in used.chains:
            if where == "free":
                x = _content(cells[variable])
            elif where == "global":
                x = variables.get(variable)
            else:
                x = owner if first == (variable,) else None
            for i, attribute in enumerate(attributes):
                if x is None:
                    self._add(self._loose, attributes[i:])
                    break
                self._add(self._wanted.setdefault(id(x), set()), (attribute,))
                x = getattr(x, "__dict__", {}).get(attribute)

    def _add(self, known: set[str], new: Iterable[str]) -> None:
        before = len(known)
        known.update(new)
        self._grew |= len(known) > before

    def _of_container(self, x: Any, name: str) -> Iterator[Entry]:
        if not isinstance(x, tuple):
            yield Entry(name, x, len, x, len(x))
        if len(x) > _LONG:
            return
        if isinstance(x, set):
            yield Entry(name, x, frozenset, x, frozenset(x))
            return
        for key, value in list(x.items() if isinstance(x, dict) else enumerate(x)):
            inner = f"{name}[{key!r}]"
            if not isinstance(x, tuple):  # of which the entries are what they were as long as it is
                yield Entry(inner, x, x.get if isinstance(x, dict) else partial(_item, x), key, value)
            yield from self._of(value, inner)

    def _of_object(self, x: Any, name: str) -> Iterator[Entry]:
        """Those of the attributes of an object, or of a class, that code uses."""
        classes = [c for c in (x if isinstance(x, type) else type(x)).__mro__ if not _is_foreign(c.__module__)]
        names = self._loose | self._wanted.get(id(x), set())
        asks = self._asks
        data: dict[str, Any] = {}  # of the classes: what an instance may come to have as its own
        for c in classes:
            own: dict[str, Any] = {}
            for attribute, member in list(vars(c).items()):
                special = attribute.startswith("__")
                functions = _functions_of(member)
                if functions and (attribute in names or (special and attribute not in _ASIDE)):
                    for function in functions:
                        asks |= self._uses(function).asks
                        yield from self._of_method(function, x)
                elif not functions and not special:
                    own[attribute] = member
            data |= dict.fromkeys(own)
            if not c.__module__.startswith("stackgrad."):
                yield from self._of_attributes(x, own, vars(c), c.__name__, asks, c)
            for attribute in names & own.keys():
                if isinstance(own[attribute], MemberDescriptorType) and not isinstance(x, type):  # of __slots__
                    found = getattr(x, attribute, None)
                    yield Entry(f"{name}.{attribute}", x, partial(_attribute, x), attribute, found)
                    yield from self._of(found, f"{name}.{attribute}")
        if not isinstance(x, type) and hasattr(x, "__dict__"):
            yield from self._of_attributes(x, {**data, **vars(x)}, vars(x), name, asks)
            if asks:
                yield Entry(name, vars(x), len, vars(x), len(vars(x)))

    def _of_named(self, x: Any, name: str) -> Iterator[Entry]:
        """Those attributes that code uses, and not what the methods of the object do."""
        names = self._loose | self._wanted.get(id(x), set())
        for attribute in list(names):
            member = getattr(type(x), attribute, None)
            if isinstance(member, property):
                yield from self._of_method(member.fget, x)
        owner = getattr(x, "__dict__", {})
        for key in sorted(names & owner.keys()):
            yield Entry(f"{name}.{key}", owner, owner.get, key, owner[key])
            yield from self._of(owner[key], f"{name}.{key}")

    def _of_attributes(
        self, x: Any, found: Mapping[str, Any], owner: Any, name: str, every: bool, of: Any = None
    ) -> Iterator[Entry]:
        """The entries of attributes of x that were found in `owner`, its own dict or that `of` a class of it."""
        names = self._loose | self._wanted.get(id(x), set())
        for key, value in list(found.items()):
            if every or key in names:
                yield Entry(f"{name}.{key}", of or owner, owner.get, key, value)
                yield from self._of(value, f"{name}.{key}")


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not set yet
        return None


def _item(x: Any, index: int) -> Any:
    return x[index] if index < len(x) else None


def _attribute(x: Any, name: str) -> Any:
    return getattr(x, name, None)


def _elements(x: NDArray[Any] | array[Any] | bytearray) -> bytes:
    return bytes(x) if isinstance(x, bytearray) else x.tobytes()


def _drawn(x: Any) -> bytes:
    """The state of a random generator, of Python or NumPy."""
    if isinstance(x, random.Random):
        return pickle.dumps(x.getstate())
    if isinstance(x, np.random.RandomState):
        return pickle.dumps(x.get_state(legacy=False))
    return pickle.dumps((x.bit_generator if isinstance(x, np.random.Generator) else x).state)


def _functions_of(member: Any) -> list[FunctionType]:
    """The function of a method, or a property's functions; none for data."""
    functions: list[Any] = [member]
    if isinstance(member, property):
        functions = [member.fget, member.fset]
    elif isinstance(member, (classmethod, staticmethod)):
        functions = [member.__func__]
    functions = [inspect.unwrap(f) if callable(f) and hasattr(f, "__wrapped__") else f for f in functions]
    return [function for function in functions if isinstance(function, FunctionType)]


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
