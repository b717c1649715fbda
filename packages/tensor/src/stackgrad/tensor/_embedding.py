"""Lookup of rows in a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._checks import expect_float, expect_ints, expect_tensors
from ._dtypes import int64
from ._indexing import Gather
from ._ops import common_backend

if TYPE_CHECKING:
    from ._tensor import Tensor


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The row of `weight` for each index: weight[input].

    Args:
        input: any shape, int64, each from 0 to rows - 1.
        weight: (rows, features).
        padding_idx: the index of a row to which no gradient flows; a negative one counts from the end.

    Returns:
        (*input's shape, features).

    Raises:
        TypeError: an argument that is not a tensor, indices that are not int64, a weight of integers.
        IndexError: an index or a `padding_idx` out of range.
        ValueError: a weight that does not have two dimensions.

    >>> embedding(tensor([1, 0]), tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    expect_tensors("embedding", input=input, weight=weight)
    common_backend("embedding", input, weight)
    expect_float("embedding", weight)
    if weight.ndim != 2:
        raise ValueError(f"embedding: weight of shape {weight.shape}: expected (rows, features)")
    if input.dtype != int64:
        raise TypeError(f"embedding: indices of dtype {input.dtype}: expected int64; use .astype(int64)")
    rows, features = weight.shape
    message = f"embedding: index {{}} is out of range: expected 0 to {rows - 1}"
    input.backend.checked_index(input.memory(), 0, rows, IndexError, message)
    out = Gather.apply(weight, input.reshape(input.size)).reshape(*input.shape, features)
    if padding_idx is None:
        return out
    kept = input != padding_row(padding_idx, rows)
    return kept.unsqueeze(-1).where(out, out.detach())


def padding_row(padding_idx: int, rows: int) -> int:
    """`padding_idx` as an index from the start. Raises IndexError if there is no such row."""
    expect_ints("embedding", padding_idx=padding_idx)
    if not -rows <= padding_idx < rows:
        raise IndexError(f"embedding: padding_idx {padding_idx} is out of range for {rows} rows")
    return padding_idx % rows
