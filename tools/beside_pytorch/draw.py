"""Random choices and arrays. They are the same on both sides, since each side has a generator with the same seed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Shape = tuple[int, ...]
T = TypeVar("T")

DTYPES = ("bool", "int64", "float32", "float64")
FLOATS = ("float32", "float64")
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, np.inf, -np.inf, np.nan)


class Draw:
    """The source of a program's random choices; `name` and `seed` determine all of them."""

    def __init__(self, name: str, seed: int) -> None:
        self.random = np.random.default_rng([zlib.crc32(name.encode()), seed])

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return int(self.random.integers(low, high + 1))

    def uniform(self, low: float, high: float) -> float:
        """A Python float with three decimal places."""
        return round(float(self.random.uniform(low, high)), 3)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.random.random() < probability)

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.random.integers(len(items)))]

    def some(self, items: Sequence[T], least: int = 0) -> list[T]:
        """At least `least` of the items, in random order."""
        count = self.integer(min(least, len(items)), len(items))
        return [items[int(i)] for i in self.random.permutation(len(items))[:count]]

    def dim(self, ndim: int) -> int:
        """One of `ndim` dims, which may be negative."""
        return self.integer(-ndim, ndim - 1) if ndim else self.integer(-1, 0)

    def shape(self, most: int = 4, extent: int = 4, least: int = 0, empty: float = 0.05) -> Shape:
        """A shape with `least` to `most` dimensions. One is sometimes long, and with probability `empty` one is 0."""
        shape = [self.integer(1, extent) for _ in range(self.integer(least, most))]
        if shape and self.chance(0.04):
            shape[self.integer(0, len(shape) - 1)] *= self.integer(8, 70)
        if shape and self.chance(empty):
            shape[self.integer(0, len(shape) - 1)] = 0
        return tuple(shape)

    def broadcastable(self, shape: Shape) -> Shape:
        """A shape that broadcasts with `shape`."""
        kept = shape[self.integer(0, len(shape)) :] if self.chance(0.4) else shape
        return tuple(1 if self.chance(0.2) else n for n in kept)

    def array(self, shape: Shape, dtype: str = "float32", values: str = "normal", laid: bool = True) -> Array:
        """Random values, with random strides if `laid`.

        `values` are "normal", "positive" (0.1 to 3), "small" integers with ties, "distinct", or "special" (with NaN
        and infinities).
        """
        if not laid or not shape or self.chance(0.5):
            return self._values(shape, dtype, values)
        how = self.choice(("permuted", "sliced", "repeated"))
        if how == "permuted":
            order = [int(i) for i in self.random.permutation(len(shape))]
            found = self._values(tuple(shape[i] for i in order), dtype, values)
            return found.transpose(np.argsort(order))
        if how == "sliced":
            steps = [self.integer(1, 2) for _ in shape]
            found = self._values(tuple(n * s + 1 for n, s in zip(shape, steps, strict=True)), dtype, values)
            return found[tuple(slice(1, n * s + 1, s) for n, s in zip(shape, steps, strict=True))]
        return np.broadcast_to(self._values((1, *shape[1:]), dtype, values), shape)

    def _values(self, shape: Shape, dtype: str, values: str) -> Array:
        random = self.random
        if dtype == "bool":
            return np.asarray(random.random(shape) < 0.5)
        if dtype == "int64":
            low = 1 if values == "positive" else -3
            return np.asarray(random.integers(low, 4, shape), np.int64)
        if values == "positive":
            found = random.uniform(0.1, 3, shape)
        elif values == "small":
            found = random.integers(-2, 3, shape).astype(np.float64)
        elif values == "distinct":
            count = int(np.prod(shape))
            found = (random.permutation(count).reshape(shape) - count / 2) / max(count, 1) * 4
        elif values == "special":
            found = np.where(random.random(shape) < 0.6, random.choice(SPECIAL, shape), random.normal(size=shape))
        else:
            found = random.normal(size=shape)
        return np.asarray(found, dtype)
