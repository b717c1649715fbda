"""Layers that change nothing but the shape, or nothing at all."""

import math
from collections.abc import Sequence
from typing import Any

from stackgrad.tensor import Tensor

from .._arguments import expect_tensors
from ..module import Module


class Identity(Module):
    """The input itself; it takes any arguments, to stand for any layer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        return input


class Flatten(Module):
    """Joins the dimensions from `start_dim` to `end_dim`; by default all but the batch: (N, C, H, W) to (N, C * H * W).

    Raises:
        IndexError: in a call, a dimension that the input does not have.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        expect_tensors("Flatten", input=input)
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Takes a dimension apart: `dim` becomes those of `unflattened_size`, of which one may be -1.

    Raises:
        IndexError: in a call, a dimension that the input does not have.
        ValueError: in a call, sizes that do not multiply to its size.
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        expect_tensors("Unflatten", input=input)
        if not -input.ndim <= self.dim < input.ndim:
            raise IndexError(f"Unflatten: dim {self.dim} is out of range for {input.ndim} dimensions")
        at, shape = self.dim % input.ndim, input.shape
        sizes = self.unflattened_size
        known = math.prod([size for size in sizes if size != -1])
        if sizes.count(-1) == 1 and known > 0 and shape[at] % known == 0:
            sizes = tuple([shape[at] // known if size == -1 else size for size in sizes])
        if -1 in sizes or math.prod(sizes) != shape[at]:
            raise ValueError(f"Unflatten: dim {self.dim} of shape {shape} is not of sizes {self.unflattened_size}")
        return input.reshape(*shape[:at], *sizes, *shape[at + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
