"""Resizing of images and sequences."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_tensors
from stackgrad.tensor._window import is_integer

Scale = float | Sequence[float] | None
"""The factor by which an image grows: one for all dimensions or one for each; None if the size is given."""


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: Scale = None,
    mode: Literal["nearest", "linear", "bilinear"] = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Resize images or sequences.

    Args:
        input: (batch, channels, width) or (batch, channels, height, width).
        size: an int or one per dimension; None if `scale_factor` is given.
        scale_factor: a factor for all sizes, or one per dimension.
        mode: "nearest" repeats or drops elements; "linear" (sequences) and "bilinear" (images) interpolate between the
            two neighbours in each dimension.
        align_corners: in the linear modes, whether the centres of the outermost elements stay fixed rather than their
            outer edges.

    Returns:
        (batch, channels, new sizes...).

    Raises:
        TypeError: an argument that is not a Tensor.
        ValueError: a shape, size or mode that does not match the others.

    >>> F.interpolate(tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    expect_tensors("interpolate", input=input)
    dims = input.ndim - 2
    fitting = {1: ("nearest", "linear"), 2: ("nearest", "bilinear")}.get(dims, ())
    if mode not in fitting:
        raise ValueError(
            f"interpolate: input of shape {input.shape} with mode {mode!r}: expected 3 dimensions with nearest or "
            "linear, or 4 with nearest or bilinear"
        )
    if align_corners is not None and mode == "nearest":
        raise ValueError("interpolate: align_corners with mode 'nearest': only linear and bilinear take it")
    goal, steps = _sizes_and_steps(input.shape[2:], size, scale_factor)
    for dim in reversed(range(dims)):
        if goal[dim] == input.shape[dim + 2]:  # even if the scale is not exactly 1, as in PyTorch
            continue
        if mode == "nearest":
            input = _nearest(input, dim + 2, goal[dim], steps[dim])
        else:
            input = _linear(input, dim + 2, goal[dim], steps[dim], bool(align_corners))
    return input


def _sizes_and_steps(
    shape: tuple[int, ...], size: int | Sequence[int] | None, scale_factor: Scale
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The new sizes, and the distance between their elements, in elements of the input."""
    if (size is None) == (scale_factor is None):
        raise ValueError(f"interpolate: expected either size or scale_factor; got {size!r} and {scale_factor!r}")
    if 0 in shape:
        raise ValueError(f"interpolate: the input has no elements: expected sizes above 0; got {shape}")
    if size is not None:
        goal = tuple(size) if isinstance(size, Sequence) else (size,) * len(shape)
        if len(goal) != len(shape) or not all(is_integer(n) and n >= 1 for n in goal):
            raise ValueError(f"interpolate: size must be an int or {len(shape)} of them, above 0; got {size!r}")
        return goal, tuple(old / new for old, new in zip(shape, goal, strict=True))
    scales = tuple(scale_factor) if isinstance(scale_factor, Sequence) else (scale_factor,) * len(shape)
    if len(scales) != len(shape) or not all(isinstance(s, int | float) and s > 0 for s in scales):
        raise ValueError(
            f"interpolate: scale_factor must be a float or {len(shape)} of them, above 0; got {scale_factor!r}"
        )
    goal = tuple(math.floor(old * s) for old, s in zip(shape, scales, strict=True))  # type: ignore[operator]
    if 0 in goal:
        raise ValueError(f"interpolate: scale_factor {scale_factor!r} of sizes {shape} leaves no elements")
    return goal, tuple(1 / s for s in scales)  # type: ignore[operator]


def _nearest(x: Tensor, dim: int, size: int, step: float) -> Tensor:
    extent = x.shape[dim]
    if size % extent == 0 and step == extent / size:
        wide = x.unsqueeze(dim + 1).expand(*x.shape[: dim + 1], size // extent, *x.shape[dim + 1 :])
        return wide.reshape(*x.shape[:dim], size, *x.shape[dim + 1 :])
    index = np.minimum(np.floor(np.arange(size, dtype=x.dtype) * x.dtype.type(step)).astype(np.int64), extent - 1)
    return _rows(x, dim, index)


def _linear(x: Tensor, dim: int, size: int, step: float, align_corners: bool) -> Tensor:
    extent = x.shape[dim]
    scalar = x.dtype.type
    if align_corners:
        position = np.arange(size, dtype=x.dtype) * scalar((extent - 1) / (size - 1) if size > 1 else 0)
    else:
        position = np.maximum((np.arange(size, dtype=x.dtype) + scalar(0.5)) * scalar(step) - scalar(0.5), 0)
    low = np.minimum(position.astype(np.int64), extent - 1)
    column = (size, *(1,) * (x.ndim - 1 - dim))
    share = sg.from_numpy(np.clip(position - low, 0, 1).astype(x.dtype).reshape(column), backend=x.backend)
    return _rows(x, dim, low) * (1 - share) + _rows(x, dim, np.minimum(low + 1, extent - 1)) * share


def _rows(x: Tensor, dim: int, index: Any) -> Tensor:
    found: Tensor = x[(*(slice(None),) * dim, index)]
    return found
