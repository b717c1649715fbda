"""Layers that change only the shape, or nothing."""

import math
from collections.abc import Sequence
from typing import Any

from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_ints, expect_tensors

from .._arguments import sizes
from ..module import Module


class Identity(Module):
    """The input itself. It accepts and ignores any arguments, so that it can replace any layer.

    >>> nn.Identity()(tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        return input


class Flatten(Module):
    """Join the dimensions from `start_dim` to `end_dim`; by default all but the batch: (N, C, H, W) to (N, C * H * W).

    Raises:
        IndexError: in a call, a dimension that the input does not have.

    >>> nn.Flatten()(ones(2, 16, 5, 5)).shape
    (2, 400)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        expect_ints("Flatten", start_dim=start_dim, end_dim=end_dim)
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        expect_tensors("Flatten", input=input)
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split the dimension `dim` into the sizes `unflattened_size`, one of which may be -1.

    Raises:
        IndexError: in a call, a dimension that the input does not have.
        ValueError: in a call, sizes whose product is not the size of `dim`.

    >>> nn.Unflatten(1, (16, 5, 5))(ones(2, 400)).shape
    (2, 16, 5, 5)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        expect_ints("Unflatten", dim=dim)
        self.dim = dim
        self.unflattened_size = sizes("Unflatten: unflattened_size", unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        expect_tensors("Unflatten", input=input)
        if not -input.ndim <= self.dim < input.ndim:
            raise IndexError(f"Unflatten: dim {self.dim} is out of range for {input.ndim} dimensions")
        dim, shape = self.dim % input.ndim, input.shape
        parts = self.unflattened_size
        known = math.prod([size for size in parts if size != -1])
        if parts.count(-1) == 1 and known > 0 and shape[dim] % known == 0:
            parts = tuple([shape[dim] // known if size == -1 else size for size in parts])
        if -1 in parts or math.prod(parts) != shape[dim]:
            raise ValueError(
                f"Unflatten: dim {self.dim} of shape {shape} does not split into the sizes {self.unflattened_size}"
            )
        return input.reshape(*shape[:dim], *parts, *shape[dim + 1 :])

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
