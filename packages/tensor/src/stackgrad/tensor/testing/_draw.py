"""Random arrays for tests: shapes with extents of 0 and 1, values with NaN and infinities, any memory layout.

Hypothesis draws one integer that determines the example: its high bits limit the sizes of arrays, the rest seeds a
generator. So examples are as varied as random ones, each costs a millisecond, and Hypothesis still shrinks a failure to
the smallest arrays and reports the integer that produces it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from .._backend import Backend
from .._dtypes import bool_, float32, float64, int64
from .._numpy import NumpyBackend
from .._tensor import Tensor
from .._types import Array, DType, Pair, Shape

Values = Callable[[np.random.Generator, Shape], NDArray[Any]]
"""What draws the elements of an array of that shape."""

Choice = TypeVar("Choice")

REFERENCE = NumpyBackend()

_SEED_BITS = 28


@dataclass(frozen=True)
class Limits:
    """The sizes of a case's arrays: extents up to `extent`; one may be larger, up to `size` elements in all."""

    extent: int = 5
    size: int = 2000


@dataclass(frozen=True)
class Sample:
    """An array as a base in C order and a chain of views, to create the same one on every backend."""

    base: NDArray[Any]
    views: tuple[tuple[str, Any], ...] = ()

    def __repr__(self) -> str:
        views = "".join(f".{name}({argument})" for name, argument in self.views)
        return f"{self.base.dtype} {self.base.shape}{views}"

    def on(self, backend: Backend) -> Array:
        """The array on `backend`, in its own memory."""
        return self.view_on(backend, backend.from_numpy(self.base.copy()))

    def view_on(self, backend: Backend, base: Array) -> Array:
        """Apply the views to a base on `backend`."""
        for name, argument in self.views:
            base = getattr(backend, name)(base, argument)
        return base

    def numpy(self) -> NDArray[Any]:
        """The array in NumPy."""
        return np.asarray(self.on(REFERENCE))

    def writable(self) -> Sample:
        """This sample, or a copy if its views repeat elements."""
        return Sample(self.numpy()) if any(name == "expand" for name, _ in self.views) else self

    def leaf(self, backend: Backend) -> Tensor:
        """The base as a tensor, for taking gradients."""
        return Tensor(backend.from_numpy(self.base.copy()), backend)

    def view(self, leaf: Tensor) -> Tensor:
        """Apply the views to a leaf; gradients flow through them."""
        out = leaf
        for name, argument in self.views:
            out = out[argument] if name == "slice" else getattr(out, name)(argument)
        return out


class Draw:
    """One example: a source of random shapes, layouts and values within `limits`, determined by `code`."""

    def __init__(self, limits: Limits, code: int) -> None:
        level, seed = code >> _SEED_BITS, code % (1 << _SEED_BITS)  # from 0 to 15, and 28 bits
        extent = min(limits.extent, 1 + level * limits.extent // 8)
        self.limits = Limits(extent, limits.size if level >= 8 else min(limits.size, 4 * 3**level))
        self.code = code
        self._random = random.Random(seed)
        self.rng = np.random.default_rng(seed)

    def __repr__(self) -> str:
        return f"Draw({self.limits}, {self.code})"

    def within(self, limits: Limits) -> Draw:
        """The same source with other limits."""
        other = Draw.__new__(Draw)
        other.limits, other.code, other._random, other.rng = limits, self.code, self._random, self.rng
        return other

    def small(self) -> Draw:
        """The same source for gradients by differences, which cost two evaluations per element."""
        return self.within(Limits(min(self.limits.extent, 3), min(self.limits.size, 8)))

    # --- integers and choices

    def integer(self, low: int, high: int) -> int:
        """A random integer from `low` to `high`, inclusive."""
        return self._random.randint(low, high)

    def pair(self, low: int, high: int) -> Pair:
        return self.integer(low, high), self.integer(low, high)

    def choice(self, choices: Sequence[Choice]) -> Choice:
        return self._random.choice(choices)

    def one_in(self, n: int) -> bool:
        """True with probability 1 / n."""
        return self._random.randrange(n) == 0

    def dtype(self, kinds: str = "f") -> DType:
        """float32 or float64 for "f", int64 for "i", bool for "b"."""
        choices = {"f": (float32, float64), "i": (int64,), "b": (bool_,)}
        return self.choice([dtype for kind in kinds for dtype in choices[kind]])

    # --- shapes

    def extent(self, least: int = 0) -> int:
        """One extent: often 1, and sometimes `least`."""
        if self.one_in(12):
            return least
        return max(least, 1) if self.one_in(6) else self.integer(max(least, 1), max(self.limits.extent, least, 1))

    def count(self, most: int, least: int = 0) -> int:
        """A count from 1 to `most`, whatever the limits, and sometimes `least`."""
        return least if self.one_in(12) else self.integer(max(least, 1), max(most, least, 1))

    def shape(self, min_ndim: int = 0, max_ndim: int = 4, least: int = 0) -> Shape:
        """A shape with extents of at least `least`; one of them may be large, and rarely one is 0."""
        shape = [self.extent(max(least, 1)) for _ in range(self.integer(min_ndim, max_ndim))]
        while math.prod(shape) > self.limits.size:
            shape[shape.index(max(shape))] = max(least, 1)
        at = self.integer(0, max(len(shape) - 1, 0))
        if shape and least == 0 and self.one_in(8):
            shape[at] = 0
        elif shape and self.one_in(3):
            rest = math.prod(shape[:at] + shape[at + 1 :])
            shape[at] = self.integer(shape[at], max(self.limits.size // rest, shape[at]))
        return tuple(shape)

    def shapes(self, count: int) -> list[Shape]:
        """`count` shapes that broadcast with one another."""
        whole = self.shape()
        return [self.narrowed(whole) for _ in range(count)]

    def narrowed(self, whole: Shape) -> Shape:
        """A shape that broadcasts to `whole`: often `whole` itself, else with extents of 1 or fewer dimensions."""
        start = self.choice((0, 0, 0, self.integer(0, len(whole))))
        return tuple(1 if self.one_in(6) else n for n in whole[start:])

    def dim(self, ndim: int) -> int:
        return self.integer(0, ndim - 1)

    def dims(self, ndim: int) -> Shape:
        """At least one of the dimensions, ascending."""
        return tuple(sorted(self._random.sample(range(ndim), self.integer(1, ndim))))

    # --- arrays

    def sample(self, shape: Shape, values: Values, slices: bool = True) -> Sample:
        """An array of `shape`: contiguous, transposed, repeated, or, with `slices`, sliced in steps of any sign."""
        layout = self.choice(("contiguous", "transposed", "expanded", "sliced", "both")[: 5 if slices else 3])
        views: list[tuple[str, Any]] = []
        base = shape
        if layout == "expanded":
            base = tuple(1 if self.one_in(3) else n for n in shape)
            while base and base[0] == 1 and self.one_in(2):
                base = base[1:]
            views = [("expand", shape)]
        if layout in ("transposed", "both"):
            dims = tuple(self._random.sample(range(len(shape)), len(shape)))
            base = tuple(shape[dims.index(i)] for i in range(len(shape)))
            views = [("permute", dims)]
        if layout in ("sliced", "both"):
            cuts = [self._cut(n) for n in base]
            base = tuple(extent for extent, _ in cuts)
            views = [("slice", tuple(cut for _, cut in cuts)), *views]
        return Sample(values(self.rng, base), tuple(views))

    def _cut(self, n: int) -> tuple[int, slice]:
        """An extent, and a slice of it that selects `n` elements."""
        step = self.choice((1, 2, -1, -2))
        before, after = self.choice(((0, 0), (1, 0), (0, 1), (2, 1)))
        if n == 0:
            return before + after, slice(before, before, step)
        last = before + (n - 1) * abs(step)
        if step > 0:
            return last + 1 + after, slice(before, last + 1, step)
        return last + 1 + after, slice(last, before - 1 if before else None, step)


def draws(limits: Limits | None = None) -> st.SearchStrategy[Draw]:
    """A strategy for examples within `limits`."""
    found = limits or Limits()
    # Bytes, because Hypothesis prefers small integers.
    return st.binary(min_size=4, max_size=4).map(lambda drawn: Draw(found, int.from_bytes(drawn)))


def uniform(dtype: DType, low: float = -2.0, high: float = 2.0, specials: Sequence[float] = ()) -> Values:
    """Uniform values of `dtype` from `low` to `high`, a quarter of them taken from `specials`."""

    def values(rng: np.random.Generator, shape: Shape) -> NDArray[Any]:
        if dtype.kind == "b":
            return np.asarray(rng.random(shape) < 0.5)
        if dtype.kind == "i":
            out = np.asarray(rng.integers(math.ceil(low), math.floor(high), shape, dtype, endpoint=True))
        else:
            out = np.asarray(rng.uniform(low, high, shape), dtype)
        if specials:
            out = np.where(rng.random(shape) < 0.25, rng.choice(np.array(specials, dtype), shape), out)
        return out

    return values
