"""Search of lists, tuples and dicts, with paths as names: "blocks.0.weight"."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def find_in(
    items: Iterable[tuple[object, object]], wanted: Callable[[object], bool], above: tuple[int, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield the wanted values, also inside lists, tuples, deques and dicts: "name.index", "name.key".

    `above` holds the ids of the enclosing containers, so that one that contains itself is entered once.

    Raises:
        TypeError: a wanted value in a set, which has no order to name it by.
    """
    for name, value in items:
        if wanted(value):
            yield str(name), value
        elif isinstance(value, list | tuple | deque | dict | set | frozenset) and id(value) not in above:
            inner = value.items() if isinstance(value, dict) else enumerate(value)
            for path, found in find_in(inner, wanted, (*above, id(value))):
                if isinstance(value, set | frozenset):
                    holder, held = type(value).__name__, type(found).__name__
                    raise TypeError(
                        f"{str(name)!r} is a {holder} that holds a {held}: a set has no order to name it by; "
                        "use a list, tuple or dict"
                    )
                yield f"{name}.{path}", found
