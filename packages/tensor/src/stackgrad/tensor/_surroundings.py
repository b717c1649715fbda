"""The Python state that a captured function depends on besides its arguments: variables, attributes and lists.

A replay runs no Python, so it is valid as long as this state is as it was when the function was recorded. It is found
from the code of the function and of the functions and methods that it can reach: globals, closures, the attributes of
these that the code uses, and so on. If the code does not show where a value comes from, an attribute of it counts for
every object that has one; if the code only calls it, for every object that has one to call. If code may read all
attributes of an object (`vars`, `getattr`), they all count. Tensors and other objects are compared by identity, scalars
and strings by value, and small NumPy arrays by their elements. The random generators of NumPy and Python must not have
drawn, since a replay would not draw.

State that only code in `each_time` uses does not count: each replay reads it. An object with a method `__captured__`,
such as an optimizer, whose settings replays read, declares itself what its methods depend on; only the attributes that
other code uses count. The same holds for objects of other libraries, whose methods are not inspected.
"""

from __future__ import annotations

import inspect
import pickle
import random
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from io import IOBase
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._guard import PLAIN, Guard, guard_of, same
from ._uses import Uses, uses_of
from ._value import Value

_LONG = 1000  # entries of a list, dict or array; longer ones are compared by length alone


def _is_random(x: Any) -> bool:
    """Whether it is a random generator of Python or NumPy. Before numpy.random is imported, NumPy has none."""
    if isinstance(x, random.Random):
        return True
    numpys = sys.modules.get("numpy.random")
    return numpys is not None and isinstance(x, (numpys.RandomState, numpys.Generator, numpys.BitGenerator))


# Methods that Python calls implicitly to make, show or copy an object: not part of a step's work.
_ASIDE = {"__init__", "__new__", "__repr__", "__str__", "__format__", "__getattr__", "__setattr__", "__delattr__"}
_ASIDE |= {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__del__", "__init_subclass__", "__hash__"}


class Entry(NamedTuple):
    """A value, its name in messages, and the function and key that read it. The value is None if it does not exist."""

    name: str
    owner: Any
    read: Callable[[Any], Any]
    key: Any
    value: Any

    @property
    def at(self) -> tuple[int, Any]:
        """A key that identifies the entry."""
        return id(self.owner), self.read if self.key is self.owner else self.key

    @property
    def array(self) -> NDArray[Any] | None:
        """The NumPy array whose elements it holds, or None."""
        return self.owner if isinstance(self.owner, np.ndarray) else None

    @property
    def lasts(self) -> bool:
        """Whether it must stay unchanged between recording and replay, too. Generators may draw in between."""
        return self.read is not _drawn


class Surroundings:
    """The entries that a function depends on, as they are now, except those that only the codes in `without` use."""

    def __init__(self, function: Callable[..., Any], without: frozenset[CodeType] = frozenset()) -> None:
        self._without = without
        self._name = getattr(function, "__name__", type(function).__name__)
        self._loose: set[str] = set()  # attributes that count for every object
        self._called: set[str] = set()  # attributes that count for every object if they can be called
        self._wanted: dict[int, set[str]] = {}  # attributes that count for one object, by its id
        self._asks = False  # whether a function, not a method, may read all attributes of an object
        self._grew = True
        while self._grew:  # attributes lead to functions, and these to more attributes
            self._grew = False
            self._seen: dict[int, Any] = {}
            self.entries = {entry.at: entry for entry in self._of(function, self._name, asked=True)}
        del self._seen

    def guard(self) -> Guard:
        """A guard of all entries."""
        return guard_of([(entry.read, entry.key, entry.value) for entry in self.entries.values()])

    def changed(self) -> dict[tuple[int, Any], Entry]:
        """The entries whose values have changed."""
        return {entry.at: entry for entry in self.entries.values() if not same(entry.read(entry.key), entry.value)}

    # --- the walk

    def _of(self, x: Any, name: str, asked: bool = False) -> Iterator[Entry]:
        """The entries that the value x leads to. `asked`: x is the captured function itself."""
        cls = type(x)
        if id(x) in self._seen or isinstance(x, (Value, *PLAIN)) or x is None:
            return
        self._seen[id(x)] = x  # kept, so that its id is not reused
        if cls is FunctionType:
            if asked or not _is_foreign(x.__module__, of_function=True):
                yield from self._of_function(x)
                yield from self._of_attributes(x, vars(x), vars(x), name, every=False)
        elif cls is MethodType:
            if not hasattr(type(x.__self__), "__captured__"):  # it declares what its methods depend on
                yield from self._of_method(x.__func__, x.__self__)
            yield from self._of(x.__self__, "self")
        elif cls is partial:
            for part in (x.func, x.args, x.keywords):
                yield from self._of(part, name, asked)
        elif isinstance(x, (list, tuple, dict, set, deque)):
            yield from self._of_container(x, name)
        elif cls is ModuleType:
            yield from self._of_module(x, name)
        elif cls is BuiltinMethodType or _is_random(x):
            yield from self._of_random(x if _is_random(x) else x.__self__, name)
        elif isinstance(x, (np.ndarray, array, bytearray)):
            if np.size(x) <= _LONG and not (isinstance(x, np.ndarray) and x.dtype.hasobject):
                yield Entry(name, x, _elements, x, _elements(x))
        elif hasattr(x, "__wrapped__") and callable(x):
            yield from self._of(x.__wrapped__, name, asked)
        elif hasattr(cls, "__captured__"):
            yield from self._of_named(x, name)
        elif not _is_foreign((x if isinstance(x, type) else cls).__module__):
            yield from self._of_object(x, name)
        elif isinstance(x, Iterator) and not isinstance(x, IOBase):
            raise RuntimeError(
                f"a captured function uses {name}, an iterator, whose next value a replay would not take: take it "
                "outside, and pass it"
            )
        elif cls.__module__.startswith("stackgrad."):
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
        """The globals and free variables that a function uses. Collects their used attributes, and those of `owner`."""
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
        """Collect the attributes that code uses: of known objects, and of any object."""
        self._add_loose(used, used.loose)
        for variable, where, attributes in used.chains:
            if where == "free":
                x = _content(cells[variable])
            elif where == "global":
                x = variables.get(variable)
            else:
                x = owner if first == (variable,) else None
            for i, attribute in enumerate(attributes):
                if x is None:
                    self._add_loose(used, attributes[i:])
                    break
                self._add(self._wanted.setdefault(id(x), set()), (attribute,))
                x = getattr(x, "__dict__", {}).get(attribute)

    def _add_loose(self, used: Uses, attributes: Iterable[str]) -> None:
        self._add(self._called, used.called.intersection(attributes))
        self._add(self._loose, set(attributes) - used.called)

    def _names(self, x: Any) -> set[str]:
        """The attributes that count for x, whatever their values."""
        return self._loose | self._wanted.get(id(x), set())

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
            shown = (
                repr(key) if isinstance(key, str | int | float | None) else type(key).__name__
            )  # not a tensor's values
            inner = f"{name}[{shown}]"
            if not isinstance(x, tuple):  # an unchanged tuple has unchanged entries
                yield Entry(inner, x, x.get if isinstance(x, dict) else partial(_item, x), key, value)
            yield from self._of(value, inner)

    def _of_object(self, x: Any, name: str) -> Iterator[Entry]:
        """The attributes of an object or a class that code uses."""
        classes = [c for c in (x if isinstance(x, type) else type(x)).__mro__ if not _is_foreign(c.__module__)]
        names, asks = self._names(x), self._asks
        data: dict[str, Any] = {}  # class attributes, which an instance may later override
        for c in classes:
            own: dict[str, Any] = {}
            for attribute, member in list(vars(c).items()):
                special = attribute.startswith("__")
                functions = _functions_of(member)
                if functions and (
                    attribute in names or attribute in self._called or (special and attribute not in _ASIDE)
                ):
                    for function in functions:
                        asks |= self._uses(function).asks
                        yield from self._of_method(function, x)
                elif not functions and not special:
                    own[attribute] = member
            data |= dict.fromkeys(own)
            if not c.__module__.startswith("stackgrad."):
                yield from self._of_attributes(x, own, vars(c), c.__name__, asks, c)
            for attribute in (names | self._called) & own.keys():
                if isinstance(own[attribute], MemberDescriptorType) and not isinstance(x, type):  # a slot
                    found = getattr(x, attribute, None)
                    if attribute not in names and not callable(found):
                        continue
                    yield Entry(f"{name}.{attribute}", x, partial(_attribute, x), attribute, found)
                    yield from self._of(found, f"{name}.{attribute}")
        if not isinstance(x, type) and hasattr(x, "__dict__"):
            yield from self._of_attributes(x, {**data, **vars(x)}, vars(x), name, asks)
            if asks:
                yield Entry(name, vars(x), len, vars(x), len(vars(x)))

    def _of_named(self, x: Any, name: str) -> Iterator[Entry]:
        """The attributes that code uses, without inspecting the object's methods."""
        for attribute in self._names(x) | self._called:
            member = getattr(type(x), attribute, None)
            if isinstance(member, property):
                yield from self._of_method(member.fget, x)
        owner = getattr(x, "__dict__", {})
        yield from self._of_attributes(x, dict(sorted(owner.items())), owner, name, every=False)

    def _of_attributes(
        self, x: Any, found: Mapping[str, Any], owner: Any, name: str, every: bool, of: Any = None
    ) -> Iterator[Entry]:
        """The entries of the attributes `found` in `owner`: the dict of x itself, or that of the class `of`."""
        names = self._names(x)
        for key, value in list(found.items()):
            if every or key in names or (key in self._called and callable(value)):
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
    """The state of a random generator of Python or NumPy."""
    if isinstance(x, random.Random):
        return pickle.dumps(x.getstate())
    if isinstance(x, np.random.RandomState):
        return pickle.dumps(x.get_state(legacy=False))
    return pickle.dumps((x.bit_generator if isinstance(x, np.random.Generator) else x).state)


def _functions_of(member: Any) -> list[FunctionType]:
    """The function of a method, or the functions of a property; none for data."""
    functions: list[Any] = [member]
    if isinstance(member, property):
        functions = [member.fget, member.fset]
    elif isinstance(member, (classmethod, staticmethod)):
        functions = [member.__func__]
    functions = [inspect.unwrap(f) if callable(f) and hasattr(f, "__wrapped__") else f for f in functions]
    return [function for function in functions if isinstance(function, FunctionType)]


def _is_foreign(module: str | None, of_function: bool = False) -> bool:
    """Whether a module belongs to a library, whose objects hold no state that a step depends on."""
    package = (module or "builtins").partition(".")[0]
    if package == "stackgrad":
        ours = ("stackgrad.tensor", "stackgrad.kernels") + (("stackgrad.nn",) if of_function else ())
        return str(module).startswith(ours)
    if package in sys.builtin_module_names or package in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file
