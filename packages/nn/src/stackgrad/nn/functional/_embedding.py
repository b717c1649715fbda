"""Rows of a table, chosen by index."""

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import expect_tensors


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """weight[input]: the row of `weight` for each index.

    Args:
        input: any shape, int64, each from 0 to rows - 1.
        weight: (rows, features).
        padding_idx: the index of a row to which no gradient flows; a negative one counts from the end.

    Returns:
        (*input's shape, features).

    Raises:
        TypeError: what is no Tensor, indices of another dtype.
        IndexError: an index out of range, also of `padding_idx`.
        ValueError: a weight of another number of dimensions.
    """
    expect_tensors("embedding", input=input, weight=weight)
    out = sg.embedding(input, weight)
    if padding_idx is None:
        return out
    kept = input != padding_row(padding_idx, weight.shape[0])
    return kept.unsqueeze(-1).where(out, out.detach())


def padding_row(padding_idx: int, rows: int) -> int:
    """`padding_idx` counted from the front.

    Raises:
        IndexError: there is no such row.
    """
    if not -rows <= padding_idx < rows:
        raise IndexError(f"embedding: padding_idx {padding_idx} is out of range for {rows} rows")
    return padding_idx % rows
