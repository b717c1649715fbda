"""What lists, tuples and dicts hold, by names that are paths: "blocks.0.weight"."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def found_in(
    items: Iterable[tuple[object, object]], wanted: Callable[[object], bool], above: tuple[int, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """The wanted ones among named values, also inside lists, tuples, deques and dicts: "name.index", "name.key".

    `above` are the ids of the containers that lead here: one that holds itself is entered once.

    Raises:
        TypeError: one in a set, which has no order to name it by.
    """
    for name, value in items:
        if wanted(value):
            yield str(name), value
        elif isinstance(value, list | tuple | deque | dict | set | frozenset) and id(value) not in above:
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            for path, found in found_in(inner, wanted, (*above, id(value))):
                if isinstance(value, set | frozenset):
                    holder, held = type(value).__name__, type(found).__name__
                    raise TypeError(
                        f"{str(name)!r} is a {holder} that holds a {held}: a set has no order to name it by; "
                        "use a list, tuple or dict"
                    )
                yield f"{name}.{path}", found
