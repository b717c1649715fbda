"""Random values with fixed seeds, as NumPy arrays, for the benchmarks and the processes of the comparison."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

T = TypeVar("T")

# Set in a process that counts instructions, where work takes fifty times as long.
COUNTED = "STACKGRAD_COUNTED"


def extent(timed: T, *, counted: T) -> T:
    """The extent for timing, or the smaller one for counting instructions of the same benchmark."""
    return counted if COUNTED in os.environ else timed


# Rows and columns for 1e3, 1e6 and 1e7 elements. Not powers of two, which would favour or hurt some layouts.
SHAPES = {"1e3": (25, 40), "1e6": extent((1000, 1000), counted=(200, 250)), "1e7": (2500, 4000)}
SIZES = tuple(SHAPES)
LAYOUTS = ("contiguous", "transposed", "broadcast")
LOGITS = {"64x10": (64, 10), "1024x1000": extent((1024, 1000), counted=(32, 1000))}


def values(shape: Sequence[int], dtype: DTypeLike = "float32", seed: int = 0) -> NDArray[Any]:
    """Standard normal values; for integer dtypes small integers, and for bool coin tosses."""
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype).kind
    if kind == "f":
        return random.standard_normal(math.prod(shape), np.float32).reshape(shape).astype(dtype)
    return random.integers(*((0, 2) if kind == "b" else (1, 10)), shape).astype(dtype)


def class_indices(count: int, of: int = 10) -> NDArray[np.int64]:
    """`count` class indices below `of`."""
    return np.random.default_rng(1).integers(0, of, count)


def pixels(count: int) -> NDArray[np.uint8]:
    """Random uint8 images (count, 28, 28), since the time of the work does not depend on the values."""
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28)).astype(np.uint8)
