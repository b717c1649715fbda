"""Functions of class numbers: the rows that have a 1 at each, and how often each occurs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._checks import expect_classes
from ._dtypes import float64, int64, is_float
from ._errors import not_a_tensor
from ._ops import common_backend, elementwise
from ._picking import scatter_sum
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 class numbers (...) as rows (..., num_classes) of int64: 1 at the number, 0 elsewhere.

    With -1 there are as many classes as the largest number needs, which a captured function cannot read. Raises
    TypeError for another dtype, and ValueError for a number that is not 0 to num_classes - 1.
    """
    if not isinstance(tensor, Value):
        raise not_a_tensor("one_hot", tensor)
    if tensor.dtype != int64:
        raise TypeError(f"one_hot of {tensor.dtype}: expected int64 class numbers")
    if num_classes < 0:
        if not tensor.numel():
            raise ValueError("one_hot of no class numbers: expected num_classes of 0 or more")
        num_classes = int(tensor.max().item()) + 1
    expect_classes("one_hot", tensor, num_classes)
    classes = tensor.new(tensor.backend.from_numpy(np.arange(num_classes)))
    return elementwise("eq", tensor.unsqueeze(-1), classes).long()


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each number occurs in int64 `input` (n,), or the sum of its `weights` (n,): (minlength,) or longer.

    Counts are int64, sums of float weights of their dtype, and of others float64. A captured function cannot read the
    largest number. Raises ValueError for a negative number and for other shapes.
    """
    if not isinstance(input, Value):
        raise not_a_tensor("bincount", input)
    if input.dtype != int64 or input.ndim != 1:
        raise ValueError(f"bincount of shape {input.shape} and {input.dtype}: expected int64 numbers (n,)")
    if weights is not None:
        common_backend("bincount", input, weights)
        if weights.shape != input.shape:
            raise ValueError(f"bincount: weights of shape {weights.shape}: expected {input.shape}")
        weights = weights if is_float(weights.dtype) else weights.astype(float64)
    count = max(int(input.max().item()) + 1 if input.numel() else 0, minlength)
    expect_classes("bincount", input, count)
    summands = input.new_ones(input.shape) if weights is None else weights
    return scatter_sum(summands, 0, input, (count,))


__all__: list[str] = ["bincount", "one_hot"]
