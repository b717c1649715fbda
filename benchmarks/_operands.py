"""What benchmarks work on: tensors of fixed random values, the same for every backend."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stackgrad.tensor import Tensor, from_numpy

# Rows and columns of about 1e3, 1e6 and 1e7 elements. Not a power of two, which would favour or hurt some layouts.
SHAPES = {"1e3": (25, 40), "1e6": (1000, 1000), "1e7": (2500, 4000)}
SIZES = tuple(SHAPES)
LAYOUTS = ("contiguous", "transposed", "broadcast")


def values(shape: Sequence[int], dtype: DTypeLike = "float32", seed: int = 0) -> NDArray[np.generic]:
    """Standard normal values; of integers and bools, small whole numbers and coin tosses."""
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "f":
        return random.standard_normal(math.prod(shape), np.float32).reshape(shape).astype(dtype)
    return random.integers(*((0, 2) if kind == "b" else (1, 10)), shape).astype(dtype)


def normal(
    *shape: int, dtype: DTypeLike = "float32", backend: str = "cpu", seed: int = 0, requires_grad: bool = False
) -> Tensor:
    """A tensor of `values`."""
    array = values(shape, dtype, seed)
    return from_numpy(array, backend=backend, requires_grad=requires_grad)


def uniform(*shape: int, low: float, high: float, dtype: DTypeLike = "float32", backend: str = "cpu") -> Tensor:
    """A tensor of values from `low` to `high`."""
    array = np.random.default_rng(0).uniform(low, high, shape)
    return from_numpy(array.astype(dtype), backend=backend)


def classes(count: int, of: int, backend: str = "cpu") -> Tensor:
    """`count` class numbers below `of`, int64."""
    return from_numpy(np.random.default_rng(1).integers(0, of, count), backend=backend)


def laid_out(layout: str, size: str, backend: str = "cpu", seed: int = 0) -> Tensor:
    """A float32 tensor of that size: in C order, a transposed view, or a row repeated by `expand`."""
    rows, columns = SHAPES[size]
    if layout == "transposed":
        return normal(columns, rows, backend=backend, seed=seed).T
    if layout == "broadcast":
        return normal(1, columns, backend=backend, seed=seed).expand(rows, columns)
    return normal(rows, columns, backend=backend, seed=seed)
