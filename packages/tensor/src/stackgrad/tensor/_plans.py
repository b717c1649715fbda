"""Plans: the preparation of an operation, computed once for each form of its operands."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ._types import Shape

if TYPE_CHECKING:
    from ._backend import Backend
    from ._types import Array

P = TypeVar("P")

MOST = 1024  # plans in one table; a program of fixed shapes needs a few


class Plans(Generic[P]):
    """A table of plans by key. The oldest are dropped when there are more than MOST."""

    def __init__(self, make: Callable[..., P]) -> None:
        self._make = make
        self._made: dict[Hashable, Any] = {}

    def find(self, key: Hashable, *arguments: Any) -> P:
        """The plan of that key, made from the arguments on first use. It may depend on the key alone."""
        plan = self._made.get(key, self)
        if plan is self:
            plan = self._make(*arguments)
            if len(self._made) >= MOST:
                for oldest in list(self._made)[: MOST // 8]:
                    self._made.pop(oldest, None)
            self._made[key] = plan
        return plan  # type: ignore[no-any-return]


def exactly(values: Any) -> Hashable:
    """A key for nested tuples of scalars that distinguishes 1, 1.0 and True, which are equal."""
    try:
        return marshal.dumps(values, 2)  # a version that depends on the values alone
    except ValueError:  # NumPy scalars and other objects
        return repr(values)


class Layout:
    """The shape, strides and dtype of an array, and its backend. Equal layouts are one object, so it is a fast key.

    `repeats`: whether elements share memory, as in an expanded view. `in_order`: whether they are in C order.
    """

    __slots__ = ("backend", "dtype", "in_order", "repeats", "shape", "strides")

    def __init__(self, data: Array, backend: Backend) -> None:
        shape, strides = data.shape, data.strides
        self.shape, self.strides, self.dtype, self.backend = shape, strides, data.dtype, backend
        self.in_order: bool = backend.is_contiguous(data)
        repeated = [not stride and n > 1 for stride, n in zip(strides, shape, strict=True)]
        self.repeats = 0 not in shape and any(repeated)

    def __repr__(self) -> str:
        return f"Layout(shape={self.shape}, strides={self.strides}, dtype={self.dtype}, backend={self.backend.name!r})"


def layout_of(data: Array, backend: Backend) -> Layout:
    return _layouts.find((data.shape, data.strides, data.dtype, backend), data, backend)


_layouts: Plans[Layout] = Plans(Layout)


def layouts(arrays: tuple[Array, ...]) -> tuple[tuple[Shape, Shape], ...]:
    """The shapes and strides of arrays: a key for plans."""
    return tuple([(x.shape, x.strides) for x in arrays])
