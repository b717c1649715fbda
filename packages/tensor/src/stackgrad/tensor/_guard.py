"""Guards: whether some Python state is as it was. Each call of a captured function checks about a hundred values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import call, is_, itemgetter
from types import MappingProxyType
from typing import Any, TypeAlias

PLAIN = (bool, int, float, complex, str, bytes, frozenset)
"""Types whose values are compared; all others are compared by identity."""

Guard: TypeAlias = tuple[Callable[[], Sequence[Any]], Sequence[Any]]
"""A function that reads some values, and the values that it returns as long as a recording is valid."""

Read: TypeAlias = tuple[Callable[[Any], Any], Any, Any]
"""A function, its argument, and the value that it returns: None if that does not exist."""


def same(a: Any, b: Any) -> bool:
    """Whether a value is unchanged: the same object, or an equal scalar or string."""
    return a is b or (type(a) is type(b) and isinstance(a, PLAIN) and (a == b or (a != a and b != b)))


def holds(guard: Guard) -> bool:
    """Whether all values of a guard are unchanged."""
    read, values = guard
    now = read()
    return len(now) == len(values) and (all(map(is_, now, values)) or all(map(same, now, values)))


def guard_of(reads: Iterable[Read]) -> Guard:
    """A guard of all these values. Those that `get` of one dict reads are read together, which takes half the time."""
    by_dict: dict[int, list[Read]] = {}
    others: list[Read] = []
    for read in reads:
        owner: Any = getattr(read[0], "__self__", None)
        is_get = type(owner) in (dict, MappingProxyType) and read[0] == owner.get
        (by_dict.setdefault(id(owner), []) if is_get else others).append(read)
    counted = {id(argument) for function, argument, _ in others if function is len}
    getters, dicts, values = [], [], []
    for of_dict in by_dict.values():
        owner = of_dict[0][0].__self__  # type: ignore[attr-defined]
        held = [read for read in of_dict if read[1] in owner]
        if len(held) < len(owner) or id(owner) not in counted:  # else all its keys are read: no other can be in it
            others += [read for read in of_dict if read[1] not in owner]
        if len(held) == 1:  # itemgetter would not return a tuple
            others += held
        elif held:
            getters.append(itemgetter(*[key for _, key, _ in held]))
            dicts.append(owner)
            values += [value for _, _, value in held]
    functions, arguments = [function for function, _, _ in others], [argument for _, argument, _ in others]
    if not getters:
        return lambda: list(map(call, functions, arguments)), [value for _, _, value in others]

    def read_all() -> Sequence[Any]:
        try:
            return [*chain.from_iterable(map(call, getters, dicts)), *map(call, functions, arguments)]
        except KeyError:  # one was deleted
            return ()

    return read_all, [*values, *[value for _, _, value in others]]
