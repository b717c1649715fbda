"""Random keys for indexing arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .._dtypes import int64
from .._types import Shape
from ._draw import Draw, Limits


def draw_key(draw: Draw, shape: Shape) -> tuple[Any, ...]:
    """A key for `shape`: integers, slices, None, ..., and one or two integer arrays, or a bool array.

    A key with arrays has no integers, since NumPy and PyTorch treat these differently next to arrays.
    """
    kind = draw.choice(("basic", "arrays", "mask")) if shape else "basic"
    chosen = draw.dims(len(shape))[:2] if kind != "basic" else ()
    common = draw.within(Limits(3, 6)).shape(0, 2)
    key: list[Any] = []
    dim = 0
    while dim < len(shape):
        n = shape[dim]
        if kind == "mask" and dim == chosen[0]:
            over = draw.integer(1, min(len(shape) - dim, 2))
            key.append(np.asarray(draw.rng.random(shape[dim : dim + over]) < 0.5))
            dim += over - 1
        elif kind == "arrays" and dim in chosen and (n or not math.prod(common)):
            key.append(draw.rng.integers(-n, max(n, 1 - n), common).astype(int64))
        elif kind == "basic" and n and draw.one_in(3):
            key.append(draw.integer(-n, n - 1))
        else:
            key.append(_draw_slice(draw, n))
        dim += 1
    if draw.one_in(3):  # ... replaces the trailing entries
        last = max((i + 1 for i, k in enumerate(key) if isinstance(k, np.ndarray)), default=0)
        del key[draw.integer(last, len(key)) :]
        key.append(...)
    if draw.one_in(4):
        key.insert(draw.integer(0, len(key)), None)
    return tuple(key)


def _draw_slice(draw: Draw, n: int) -> slice:
    if draw.one_in(2):
        return slice(None, None, draw.choice((None, -1, 2)))
    start, stop = (None if draw.one_in(2) else draw.integer(-n - 1, n + 1) for _ in range(2))
    return slice(start, stop, draw.choice((None, 1, 2, -1, -2)))
