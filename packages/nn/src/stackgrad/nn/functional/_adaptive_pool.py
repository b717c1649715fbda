"""Pooling to a given size."""

from collections.abc import Sequence
from typing import TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_dims, expect_tensors
from stackgrad.tensor._window import is_integer

Goal: TypeAlias = int | Sequence[int | None] | None
"""The size of a result: an int for all dimensions or one for each; None keeps the size of the input."""


def adaptive_avg_pool2d(input: Tensor, output_size: Goal) -> Tensor:
    """Split the image into a given number of rows and columns, as evenly as possible, and average each part.

    Args:
        input: (batch, channels, height, width).
        output_size: an int or (rows, columns); None keeps the size of the input. Part i of n goes
            from floor(i * size / n) to ceil((i + 1) * size / n).

    Returns:
        (batch, channels, rows, columns).

    Raises:
        ValueError: a wrong number of dimensions, an invalid size, an empty image.

    >>> F.adaptive_avg_pool2d(ones(1, 2, 8, 8), 1).shape
    (1, 2, 1, 1)
    """
    expect_tensors("adaptive_avg_pool2d", input=input)
    expect_dims("adaptive_avg_pool2d", input, "batch", "channels", "height", "width")
    return _average_parts("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool1d(input: Tensor, output_size: Goal) -> Tensor:
    """`adaptive_avg_pool2d` of (batch, channels, width): (batch, channels, output_size).

    >>> F.adaptive_avg_pool1d(ones(1, 2, 8), 5).shape
    (1, 2, 5)
    """
    expect_tensors("adaptive_avg_pool1d", input=input)
    expect_dims("adaptive_avg_pool1d", input, "batch", "channels", "width")
    return _average_parts("adaptive_avg_pool1d", input, output_size)


def _average_parts(function: str, input: Tensor, output_size: Goal) -> Tensor:
    dims = input.ndim - 2
    goal = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * dims
    if len(goal) != dims or not all(n is None or (is_integer(n) and n >= 1) for n in goal):
        raise ValueError(f"{function}: output_size must be an int or None, or {dims} of them; got {output_size!r}")
    if 0 in input.shape[2:]:
        raise ValueError(f"{function}: input of shape {input.shape} is empty")
    for dim, wanted in enumerate(goal, 2):
        extent = input.shape[dim]
        if wanted is None or wanted == extent:
            continue
        if extent % wanted == 0:
            input = input.reshape(*input.shape[:dim], wanted, extent // wanted, *input.shape[dim + 1 :]).mean(dim + 1)
            continue
        before = (slice(None),) * dim
        parts = [slice(i * extent // wanted, -(-(i + 1) * extent // wanted)) for i in range(wanted)]
        input = sg.concatenate([input[(*before, part)].mean(dim, keepdim=True) for part in parts], dim)
    return input
