"""Functions of class indices: one-hot rows and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._checks import expect_classes, expect_ints
from ._dtypes import float64, int64, is_float
from ._errors import not_a_tensor
from ._ops import common_backend, elementwise
from ._picking import scatter_sum
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """One-hot int64 rows (..., num_classes) for int64 class indices (...): 1 at the index, 0 elsewhere.

    The default -1 takes the largest index plus 1, which a captured function cannot read. Raises TypeError for another
    dtype, and ValueError for an index outside 0 .. num_classes - 1.

    >>> one_hot(tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if not isinstance(tensor, Value):
        raise not_a_tensor("one_hot", tensor)
    if tensor.dtype != int64:
        raise TypeError(f"one_hot of {tensor.dtype}: expected int64 class indices")
    if type(num_classes) is not int:  # the usual case needs no call
        expect_ints("one_hot", num_classes=num_classes)
    if num_classes < 0:
        if not tensor.numel():
            raise ValueError("one_hot of an empty tensor: expected num_classes of 0 or more")
        num_classes = int(tensor.max().item()) + 1
    expect_classes("one_hot", tensor, num_classes)
    classes = tensor.new(tensor.backend.from_numpy(np.arange(num_classes)))
    return elementwise("eq", tensor.unsqueeze(-1), classes).long()


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """The count of each value in int64 `input` (n,), or the sum of its `weights` (n,): (minlength,) or longer.

    Counts are int64; sums have the dtype of float weights, else float64. A captured function cannot read the largest
    value. Raises ValueError for a negative value and for other shapes.

    >>> bincount(tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    if not isinstance(input, Value):
        raise not_a_tensor("bincount", input)
    if input.dtype != int64 or input.ndim != 1:
        raise ValueError(f"bincount of shape {input.shape} and {input.dtype}: expected int64 values (n,)")
    if weights is not None:
        common_backend("bincount", input, weights)
        if weights.shape != input.shape:
            raise ValueError(f"bincount: weights of shape {weights.shape}: expected {input.shape}")
        weights = weights if is_float(weights.dtype) else weights.astype(float64)
    expect_ints("bincount", minlength=minlength)
    count = max(int(input.max().item()) + 1 if input.numel() else 0, minlength)
    expect_classes("bincount", input, count)
    summands = input.new_ones(input.shape) if weights is None else weights
    return scatter_sum(summands, 0, input, (count,))


__all__: list[str] = ["bincount", "one_hot"]
