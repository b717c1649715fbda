"""Random arrays for tests: shapes with 0 and 1 among the extents, values with NaN and infinities, any memory layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from .._backend import Array, Backend, DType
from .._dtypes import float32, float64
from .._numpy import NumpyBackend
from .._shape import Shape, broadcast_shapes
from .._tensor import Tensor

Data = st.DataObject
Values = Callable[[np.random.Generator, Shape], NDArray[Any]]

REFERENCE = NumpyBackend()


@dataclass(frozen=True)
class Limits:
    """How large the arrays of a case become: extents up to `extent`, one of which may stretch to `size` in all."""

    extent: int = 5
    size: int = 2000

    def small(self) -> Limits:
        """Limits for gradients by differences, which cost two evaluations an element."""
        return Limits(min(self.extent, 3), min(self.size, 8))


@dataclass(frozen=True)
class Sample:
    """An array as a base in C order and views of it, to be made alike on every backend."""

    base: NDArray[Any]
    views: tuple[tuple[str, Any], ...] = ()

    def on(self, backend: Backend) -> Array:
        """The array on `backend`, in memory of its own."""
        out = backend.from_numpy(self.base.copy())
        for name, argument in self.views:
            out = getattr(backend, name)(out, argument)
        return out

    def numpy(self) -> NDArray[Any]:
        """The array in NumPy."""
        return np.asarray(self.on(REFERENCE))

    def leaf(self, backend: Backend) -> Tensor:
        """The base as a tensor, to take gradients for."""
        return Tensor(backend.from_numpy(self.base.copy()), backend)

    def view(self, leaf: Tensor) -> Tensor:
        """The views of a leaf, through which its gradient flows."""
        out = leaf
        for name, argument in self.views:
            out = out[argument] if name == "slice" else getattr(out, name)(argument)
        return out


def draw_extent(data: Data, limits: Limits, least: int = 0) -> int:
    """One extent; 1 and, where `least` allows it, 0 come often."""
    choices = [n for n in (0, 1, 1) if n >= least] or [least]
    return data.draw(st.sampled_from(choices) | st.integers(max(least, 2), max(limits.extent, least, 2)))


def draw_shape(data: Data, limits: Limits, min_ndim: int = 0, max_ndim: int = 4, least: int = 0) -> Shape:
    """A shape whose extents are `least` or more; one of them may stretch."""
    shape = [draw_extent(data, limits, least) for _ in range(data.draw(st.integers(min_ndim, max_ndim)))]
    while math.prod(shape) > limits.size:
        shape[shape.index(max(shape))] = 1
    if shape and data.draw(st.integers(0, 3)) == 3:
        at = data.draw(st.integers(0, len(shape) - 1))
        rest = math.prod(shape[:at] + shape[at + 1 :])
        shape[at] = data.draw(st.integers(least, max(limits.size // max(rest, 1), least)))
    return tuple(shape)


def draw_shapes(data: Data, limits: Limits, count: int) -> list[Shape]:
    """`count` shapes that broadcast to one another."""
    whole = draw_shape(data, limits)
    shapes = []
    for _ in range(count):
        start = data.draw(st.sampled_from([0, 0, 0, *range(len(whole) + 1)]))
        ones = data.draw(st.sets(st.integers(0, len(whole) - 1), max_size=1)) if whole else set()
        shapes.append(tuple(1 if i in ones else n for i, n in enumerate(whole) if i >= start))
    assert broadcast_shapes(*shapes) is not None
    return shapes


def draw_dtype(data: Data, kinds: str = "f") -> DType:
    """float32 or float64 for "f", int64 for "i", bool for "b"."""
    choices = {"f": [float32, float64], "i": [np.dtype("int64")], "b": [np.dtype("bool")]}
    return data.draw(st.sampled_from([dtype for kind in kinds for dtype in choices[kind]]))


def uniform(dtype: DType, low: float = -2.0, high: float = 2.0, specials: Sequence[float] = ()) -> Values:
    """Numbers of `dtype` from `low` to `high`, one in eight of them from `specials`."""

    def values(rng: np.random.Generator, shape: Shape) -> NDArray[Any]:
        if dtype.kind == "b":
            return np.asarray(rng.random(shape) < 0.5)
        if dtype.kind == "i":
            out = np.asarray(rng.integers(math.ceil(low), math.floor(high), shape, dtype, endpoint=True))
        else:
            out = np.asarray(rng.uniform(low, high, shape), dtype)
        if specials:
            out = np.where(rng.random(shape) < 0.125, rng.choice(np.array(specials, dtype), shape), out)
        return out

    return values


def draw_sample(data: Data, shape: Shape, values: Values) -> Sample:
    """An array of `shape`: contiguous, transposed, with steps that may be negative, repeated, or a mixture."""
    views: list[tuple[str, Any]] = []
    layout = data.draw(st.sampled_from(["contiguous", "transposed", "sliced", "both", "expanded"]))
    base = shape
    if layout == "expanded":
        repeated = data.draw(st.sets(st.integers(0, len(shape) - 1))) if shape else set()
        base = tuple(1 if i in repeated else n for i, n in enumerate(shape))
        while base and base[0] == 1 and data.draw(st.booleans()):
            base = base[1:]
        views = [("expand", shape)]
    if layout in ("transposed", "both"):
        dims = tuple(data.draw(st.permutations(range(len(shape)))))
        base = tuple(shape[dims.index(i)] for i in range(len(shape)))
        views = [("permute", dims)]
    if layout in ("sliced", "both"):
        cuts = [_draw_cut(data, n) for n in base]
        base = tuple(extent for extent, _ in cuts)
        views = [("slice", tuple(cut for _, cut in cuts)), *views]
    return Sample(values(draw_rng(data), base), tuple(views))


def _draw_cut(data: Data, n: int) -> tuple[int, slice]:
    """An extent and a slice of it that selects `n` places."""
    step = data.draw(st.sampled_from([1, 2, -1, -2]))
    before, after = data.draw(st.sampled_from([(0, 0), (1, 0), (0, 1), (2, 1)]))
    if n == 0:
        return before + after, slice(before, before, step)
    last = before + (n - 1) * abs(step)
    if step > 0:
        return last + 1 + after, slice(before, last + 1, step)
    return last + 1 + after, slice(last, before - 1 if before else None, step)


def draw_rng(data: Data) -> np.random.Generator:
    """A generator of values; only its seed is drawn, so that large arrays cost Hypothesis nothing."""
    return np.random.default_rng(data.draw(st.integers(0, 2**16)))
