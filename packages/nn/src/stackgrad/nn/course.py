"""Pooling, maxima, softmax and dropout by the names of the minitorch course, with its meaning.

A kernel must divide the image, `max` keeps the dimension, and `dropout` does not scale what it keeps. The course's
`conv1d` and `conv2d` are in `stackgrad.kernels.course`.
"""

import numpy as np

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor, Window
from stackgrad.tensor._checks import expect_dims, expect_tensors
from stackgrad.tensor._shape import normalize_dim
from stackgrad.tensor._types import Extents

from .functional import avg_pool2d, max_pool2d, softmax
from .functional import log_softmax as logsoftmax
from .functional._dropout import check_probability

__all__ = ["argmax", "avgpool2d", "dropout", "logsoftmax", "max", "maxpool2d", "softmax", "tile"]


def tile(input: Tensor, kernel: Extents) -> tuple[Tensor, int, int]:
    """Split an image into adjacent windows, each flattened into a last dimension.

    Args:
        input: (batch, channel, height, width).
        kernel: (kernel_height, kernel_width), which divide height and width.

    Returns:
        (batch, channel, new_height, new_width, kernel_height * kernel_width), new_height and new_width.

    Raises:
        ValueError: a wrong number of dimensions, a kernel that does not divide the image.

    >>> out, height, width = nn.course.tile(ones(1, 1, 4, 6), (2, 2))
    >>> out.shape, height, width
    ((1, 1, 2, 3, 4), 2, 3)
    """
    rows, columns = _dividing_kernel("tile", input, kernel)
    batch, channel, height, width = input.shape
    new_height, new_width = height // rows, width // columns
    # (batch, channel, new_height, rows, new_width, columns): dimensions 3 and 5 are a window
    windows = input.reshape(batch, channel, new_height, rows, new_width, columns).permute(0, 1, 2, 4, 3, 5)
    return windows.reshape(batch, channel, new_height, new_width, rows * columns), new_height, new_width


def avgpool2d(input: Tensor, kernel: Extents) -> Tensor:
    """The mean of each window of `tile`: (batch, channel, height / kernel_height, width / kernel_width).

    >>> nn.course.avgpool2d(ones(1, 1, 4, 4), (2, 2)).shape
    (1, 1, 2, 2)
    """
    return avg_pool2d(input, _dividing_kernel("avgpool2d", input, kernel))


def maxpool2d(input: Tensor, kernel: Extents) -> Tensor:
    """The largest value of each window of `tile`: (batch, channel, height / kernel_height, width / kernel_width).

    >>> nn.course.maxpool2d(ones(1, 1, 4, 4), (2, 2)).shape
    (1, 1, 2, 2)
    """
    return max_pool2d(input, _dividing_kernel("maxpool2d", input, kernel))


def max(input: Tensor, dim: int) -> Tensor:
    """The largest value along `dim`, which the result keeps with size 1.

    Among equal values the first gets the gradient: it is the gradient times `argmax`.

    Raises:
        IndexError: a `dim` that the input does not have.

    >>> nn.course.max(tensor([[1.0, 3.0, 2.0]]), 1)
    tensor([[3.]])
    """
    expect_tensors("max", input=input)
    return input.max(dim, keepdim=True)


def argmax(input: Tensor, dim: int) -> Tensor:
    """One-hot: 1 at the first of the largest values along `dim`, 0 elsewhere.

    Returns:
        The input's shape and dtype (float32 if that is not a float dtype); it carries no gradient.

    >>> nn.course.argmax(tensor([[1.0, 3.0, 2.0]]), 1)
    tensor([[0., 1., 0.]])
    """
    expect_tensors("argmax", input=input)
    dim = normalize_dim(dim, input.ndim)
    largest = input.detach().argmax(dim, keepdim=True)
    along = [1] * input.ndim
    along[dim] = input.shape[dim]
    positions = sg.arange(input.shape[dim], backend=input.backend).reshape(*along)
    dtype = input.dtype if np.issubdtype(input.dtype, np.floating) else sg.float32
    return (positions == largest).astype(dtype)


def dropout(input: Tensor, rate: float, ignore: bool = False) -> Tensor:
    """Zero each element with probability `rate`. Unlike `functional.dropout`, do not scale the others.

    Args:
        input: any shape.
        rate: 0 returns the input, 1 returns zeros. The mask comes from the default generator.
        ignore: whether to return the input, whatever the rate.

    Raises:
        ValueError: a rate outside [0, 1].

    >>> nn.course.dropout(ones(3), 0.5, ignore=True)
    tensor([1., 1., 1.])
    """
    expect_tensors("dropout", input=input)
    if check_probability(rate) == 0 or ignore:
        return input
    return sg.where(sg.rand(*input.shape, backend=input.backend) >= rate, input, 0.0)


def _dividing_kernel(function: str, input: Tensor, kernel: Extents) -> tuple[int, int]:
    expect_tensors(function, input=input)
    expect_dims(function, input, "batch", "channel", "height", "width")
    rows, columns = Window(kernel).kernel
    height, width = input.shape[2:]
    if height % rows or width % columns:
        raise ValueError(
            f"kernel {(rows, columns)} must divide height {height} and width {width}; "
            "max_pool2d and avg_pool2d drop a ragged edge instead"
        )
    return rows, columns
