"""Pooling."""

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import Padding, Size, expect_tensors, paddings, pair, pairs, sizes


def max_pool2d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Padding = 0) -> Tensor:
    """The largest value of each window; the gradient goes to the first of equal values.

    Args:
        input: (batch, channels, height, width).
        kernel_size: an int or (rows, columns).
        stride: the same forms; the kernel size where None.
        padding: an int, (rows, columns) or ((top, bottom), (left, right)), at most half the kernel; what is padded
            never is the largest.

    Returns:
        (batch, channels, out_height, out_width); a ragged edge that holds no whole window is dropped.

    Raises:
        ValueError: another number of dimensions, sizes that do not fit.
    """
    expect_tensors("max_pool2d", input=input)
    return sg.max_pool2d(input, *_pool_arguments(kernel_size, stride, padding))


def avg_pool2d(input: Tensor, kernel_size: Size, stride: Size | None = None, padding: Padding = 0) -> Tensor:
    """The mean of each window; padded zeros count. Arguments, result and errors as in `max_pool2d`."""
    expect_tensors("avg_pool2d", input=input)
    return sg.avg_pool2d(input, *_pool_arguments(kernel_size, stride, padding))


def _pool_arguments(
    kernel_size: Size, stride: Size | None, padding: Padding
) -> tuple[tuple[int, int], tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]:
    kernel = sizes("kernel_size", kernel_size, 2)
    steps = kernel if stride is None else sizes("stride", stride, 2)
    return pair(kernel), pair(steps), pairs(paddings(padding, kernel, steps, (1, 1)))
