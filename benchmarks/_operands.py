"""The operands of benchmarks: tensors of random values with fixed seeds, the same on every backend."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from stackgrad.tensor import Tensor, from_numpy

from ._values import SHAPES, class_indices, values


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
    """`count` class indices below `of`, int64."""
    return from_numpy(class_indices(count, of), backend=backend)


def laid_out(layout: str, size: str, backend: str = "cpu", seed: int = 0) -> Tensor:
    """A float32 tensor of a given size: in C order, a transposed view, or a row repeated by `expand`."""
    rows, columns = SHAPES[size]
    if layout == "transposed":
        return normal(columns, rows, backend=backend, seed=seed).T
    if layout == "broadcast":
        return normal(1, columns, backend=backend, seed=seed).expand(rows, columns)
    return normal(rows, columns, backend=backend, seed=seed)
