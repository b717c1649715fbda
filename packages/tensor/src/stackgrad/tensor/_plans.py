"""What an operation needs before its launch, worked out once for each form of its operands."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

P = TypeVar("P")
Layout = tuple[tuple[int, ...], tuple[int, ...]]  # shape and strides

MOST = 1024  # plans in one table: a program of fixed shapes has a few


class Plans(Generic[P]):
    """Plans by what they are found by. The oldest go where there are more than MOST."""

    def __init__(self, make: Callable[..., P]) -> None:
        self._make = make
        self._made: dict[Hashable, Any] = {}

    def find(self, key: Hashable, *arguments: Any) -> P:
        """The plan of that key; `make` makes it of the arguments, of which it takes no more than the key tells."""
        plan = self._made.get(key, self)
        if plan is self:
            plan = self._make(*arguments)
            if len(self._made) >= MOST:
                for oldest in list(self._made)[: MOST // 8]:
                    self._made.pop(oldest, None)
            self._made[key] = plan
        return plan  # type: ignore[no-any-return]


def layouts(arrays: tuple[NDArray[Any], ...]) -> tuple[Layout, ...]:
    """What plans are found by."""
    return tuple([(x.shape, x.strides) for x in arrays])
