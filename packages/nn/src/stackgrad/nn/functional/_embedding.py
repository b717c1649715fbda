"""Lookup of rows in a table."""

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import expect_tensors


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """The row of `weight` for each index: weight[input].

    Args:
        input: any shape, int64, each from 0 to rows - 1.
        weight: (rows, features).
        padding_idx: the index of a row to which no gradient flows; a negative one counts from the end.

    Returns:
        (*input's shape, features).

    Raises:
        TypeError: an argument that is not a Tensor, indices that are not int64.
        IndexError: an index or a `padding_idx` out of range.
        ValueError: a weight that does not have two dimensions.
    """
    expect_tensors("embedding", input=input, weight=weight)
    out = sg.embedding(input, weight)
    if padding_idx is None:
        return out
    kept = input != padding_row(padding_idx, weight.shape[0])
    return kept.unsqueeze(-1).where(out, out.detach())


def padding_row(padding_idx: int, rows: int) -> int:
    """`padding_idx` as an index from the start.

    Raises:
        IndexError: the row does not exist.
    """
    if not -rows <= padding_idx < rows:
        raise IndexError(f"embedding: padding_idx {padding_idx} is out of range for {rows} rows")
    return padding_idx % rows
