"""The value of `Tensor.size`: NumPy's element count and PyTorch's method in one."""

from __future__ import annotations

import math
from typing import overload

from ._shape import normalize_dim
from ._types import Shape


class Size(int):
    """The number of elements of a shape; when called, the shape or its extent in one dimension."""

    def __new__(cls, shape: Shape) -> Size:
        out = super().__new__(cls, math.prod(shape))
        out._shape = shape
        return out

    _shape: Shape

    @overload
    def __call__(self) -> Shape: ...
    @overload
    def __call__(self, dim: int) -> int: ...
    def __call__(self, dim: int | None = None) -> Shape | int:
        if dim is None:
            return self._shape
        if not self._shape:
            raise IndexError(f"size({dim}) of a tensor without dimensions: expected one or more")
        return self._shape[normalize_dim(dim, len(self._shape))]
