"""Pooling over windows, and to a given size."""

from collections.abc import Sequence
from typing import TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import Padding, Pair, Size, expect_dims, expect_tensors, is_integer, sizes, sliding
from ._pad import pad, pad_order

Goal: TypeAlias = int | Sequence[int | None] | None


def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest value of each window; among equal values the first gets the gradient.

    Args:
        input: (batch, channels, height, width).
        kernel_size: an int or (rows, columns).
        stride: the same forms; the kernel size if None.
        padding: an int, (rows, columns) or ((top, bottom), (left, right)), at most half the kernel. Padding
            never counts as the largest value.
        dilation: the distance between a window's elements: an int or (rows, columns).
        ceil_mode: whether the last window of a row or column may extend past the end. Otherwise an edge that holds no
            whole window is dropped.

    Returns:
        (batch, channels, out_height, out_width).

    Raises:
        ValueError: a wrong number of dimensions, sizes that do not match.
    """
    expect_tensors("max_pool2d", input=input)
    return _largest(input, *_window(2, kernel_size, stride, padding, dilation), ceil_mode)


def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Args:
        input, kernel_size, stride, padding, ceil_mode: as in `max_pool2d`; elements past the end do not count.
        count_include_pad: whether padded zeros count.
        divisor_override: the divisor of the sums, instead of the number of elements that count.

    Returns and raises as `max_pool2d`; ValueError for a `divisor_override` of 0.
    """
    expect_tensors("avg_pool2d", input=input)
    if divisor_override == 0:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    kernel, strides, pads, _ = _window(2, kernel_size, stride, padding, (1, 1))
    return sg.avg_pool2d(input, kernel, strides, pads, ceil_mode, count_include_pad, divisor_override)


def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """`max_pool2d` of (batch, channels, width): (batch, channels, out_width)."""
    window = _window(1, kernel_size, stride, padding, dilation)
    return _largest(_image("max_pool1d", input), *window, ceil_mode).squeeze(2)


def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """`avg_pool2d` of (batch, channels, width): (batch, channels, out_width)."""
    kernel, strides, pads, _ = _window(1, kernel_size, stride, padding, (1,))
    return sg.avg_pool2d(_image("avg_pool1d", input), kernel, strides, pads, ceil_mode, count_include_pad).squeeze(2)


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
    """
    expect_tensors("adaptive_avg_pool2d", input=input)
    expect_dims("adaptive_avg_pool2d", input, "batch", "channels", "height", "width")
    return _average_parts("adaptive_avg_pool2d", input, output_size)


def adaptive_avg_pool1d(input: Tensor, output_size: Goal) -> Tensor:
    """`adaptive_avg_pool2d` of (batch, channels, width): (batch, channels, output_size)."""
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


def _largest(
    input: Tensor, kernel: Pair, stride: Pair, padding: tuple[Pair, Pair], dilation: Pair, ceil_mode: bool
) -> Tensor:
    """Max pooling of an image; with a dilation, the maximum of one strided slice for each element of the window."""
    if dilation == (1, 1):
        return sg.max_pool2d(input, kernel, stride, padding, ceil_mode)
    expect_dims("max_pool2d", input, "batch", "channels", "height", "width")
    taps, sides = [], []
    for extent, k, s, (before, after), d in zip(input.shape[2:], kernel, stride, padding, dilation, strict=True):
        if max(before, after) > k // 2:
            raise ValueError(f"max_pool2d: padding {padding} is more than half of kernel {kernel}")
        room = before + extent + after - d * (k - 1) - 1
        last = -(-room // s) if ceil_mode else room // s
        last -= ceil_mode and last * s >= before + extent
        if last < 0:
            raise ValueError(f"max_pool2d: kernel {kernel} with dilation {dilation} is larger than {input.shape}")
        taps.append([slice(i * d, i * d + last * s + 1, s) for i in range(k)])
        sides.append((before, max(after, taps[-1][-1].stop - before - extent)))
    padded = pad(input, pad_order(sides), value=-float("inf"))
    return sg.stack([padded[:, :, rows, columns] for rows in taps[0] for columns in taps[1]]).max(0)


def _window(
    dims: int, kernel_size: Size, stride: Size | None, padding: Padding, dilation: Size
) -> tuple[Pair, Pair, tuple[Pair, Pair], Pair]:
    """Kernel, stride, padding and dilation for rows and columns; a one-dimensional window gets the height 1."""
    kernel = sizes("kernel_size", kernel_size, dims)
    window = (kernel, *sliding(dims, kernel, kernel if stride is None else stride, padding, dilation))
    if dims == 1:
        window = (1, *window[0]), (1, *window[1]), ((0, 0), *window[2]), (1, *window[3])
    return window  # type: ignore[return-value]


def _image(function: str, input: Tensor) -> Tensor:
    """(batch, channels, width) as an image of height 1."""
    expect_tensors(function, input=input)
    expect_dims(function, input, "batch", "channels", "width")
    return input.unsqueeze(2)
