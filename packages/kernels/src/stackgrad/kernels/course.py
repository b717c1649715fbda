"""Convolution under the names of the minitorch course: differentiable functions, and kernels that write to arrays.

The weight is anchored at the left (top-left) of its window, and the input is padded with zeros:

    out[b, o, i] = sum over c, k of input[b, c, i + k] * weight[o, c, k]

With `reverse` it is anchored at the right (bottom-right): input[b, c, i - k]. The output of `conv1d` and `conv2d` has
the size of the input. That of the kernels may have any size: the backward of the course writes the gradient of a weight
to an `out` as small as the weight, using a `weight` as large as the input.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stackgrad import tensor as sg
from stackgrad.tensor import Tensor, Window

from .cpu.conv._forward import conv2d as _conv2d

Operand = Any  # NDArray[Any] or Tensor, all three of the same type


def conv2d(input: Tensor, weight: Tensor) -> Tensor:
    """Convolve input (batch, in_channels, height, width) with weight (out_channels, in_channels, kh, kw).

    Returns (batch, out_channels, height, width), on the backend of its arguments, with gradients for both.
    Raises ValueError for shapes that do not match and TypeError for mixed or integer dtypes.
    """
    if weight.ndim != 4:
        raise ValueError(f"conv2d: weight of shape {weight.shape}: expected (out_channels, in_channels, height, width)")
    return sg.conv2d(input, weight, padding=((0, weight.shape[2] - 1), (0, weight.shape[3] - 1)))


def conv1d(input: Tensor, weight: Tensor) -> Tensor:
    """Convolve input (batch, in_channels, width) with weight (out_channels, in_channels, kernel_width).

    Returns (batch, out_channels, width), on the backend of its arguments, with gradients for both.
    Raises ValueError for shapes that do not match and TypeError for mixed or integer dtypes.
    """
    if weight.ndim != 3:
        raise ValueError(f"conv1d: weight of shape {weight.shape}: expected (out_channels, in_channels, kernel_width)")
    return sg.conv1d(input, weight, padding=((0, weight.shape[2] - 1),))


def tensor_conv2d(out: Operand, input: Operand, weight: Operand, reverse: bool) -> None:
    """Write the convolution of input (b, c, h, w) with weight (o, c, kh, kw) to out (b, o, any height, any width).

    All are NumPy arrays, or tensors on one backend such as "cuda", of the same float dtype and any strides. No gradient
    is recorded. Raises ValueError for wrong shapes and backends and TypeError for wrong dtypes.
    """
    _check("tensor_conv2d", out, input, weight, 4)
    kernel = weight.shape[2:]
    before = [k - 1 if reverse else 0 for k in kernel]
    ends = [size + k - 1 - first for size, k, first in zip(out.shape[2:], kernel, before, strict=True)]
    after = [max(end - size, 0) for end, size in zip(ends, input.shape[2:], strict=True)]
    rows, columns = zip(before, after, strict=True)
    input = input[:, :, : ends[0], : ends[1]]  # everything that is read
    if reverse:
        weight = weight[:, :, ::-1, ::-1]
    if isinstance(out, Tensor):
        with sg.no_grad():
            out.copy_(sg.conv2d(input, weight, padding=(rows, columns)))
        return
    input, weight = (np.require(a, requirements=["ALIGNED", "ENSUREARRAY"]) for a in (input, weight))
    out[...], _ = _conv2d(input, weight, None, Window(kernel, padding=(rows, columns)), 1, relu=False)


def tensor_conv1d(out: Operand, input: Operand, weight: Operand, reverse: bool) -> None:
    """Write the convolution of input (b, c, w) with weight (o, c, kw) to out (b, o, any width).

    Operands and errors are as in `tensor_conv2d`.
    """
    _check("tensor_conv1d", out, input, weight, 3)
    with sg.no_grad():
        tensor_conv2d(out[:, :, None], input[:, :, None], weight[:, :, None], reverse)


def _check(name: str, out: Operand, input: Operand, weight: Operand, ndim: int) -> None:
    wanted, called = (Tensor, "a tensor") if isinstance(out, Tensor) else (np.ndarray, "a NumPy array")
    for what, array in (("input", input), ("weight", weight), ("out", out)):
        if not isinstance(array, wanted) or array.ndim != ndim or 0 in array.shape:
            given = f"shape {array.shape}" if isinstance(array, wanted) else f"type {type(array).__name__}"
            raise ValueError(f"{name}: {what} of {given}: expected {called} of {ndim} dimensions, none of extent 0")
        if array.dtype != input.dtype or array.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"{name}: {what} of {array.dtype} with input of {input.dtype}: expected float32 or float64 for all"
            )
    expected = (input.shape[0], weight.shape[0])
    if weight.shape[1] != input.shape[1] or out.shape[:2] != expected:
        raise ValueError(
            f"{name}: input of shape {input.shape}, weight {weight.shape} and out {out.shape}: "
            f"expected as many channels in input as in weight, and out of shape ({expected[0]}, {expected[1]}, ...)"
        )
