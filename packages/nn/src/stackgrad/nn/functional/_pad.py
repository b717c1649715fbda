"""Padding: elements added around a tensor, or removed."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_tensors
from stackgrad.tensor._window import is_integer

PaddingMode: TypeAlias = Literal["constant", "reflect", "replicate", "circular"]
"""What `pad` adds: a value, or the elements mirrored, the outermost ones repeated, or those of the other end."""


def pad(input: Tensor, pad: Sequence[int], mode: PaddingMode = "constant", value: float | None = None) -> Tensor:
    """Add elements before and after the last dimensions.

    Args:
        input: any shape.
        pad: (before, after) of the last dimension, then of the one before it, and so on: (left, right, top, bottom).
            Negative counts remove elements.
        mode: what is added: "constant", `value`; "reflect", the elements mirrored at the outermost one, which is not
            repeated; "replicate", the outermost element; "circular", the elements of the other end.
        value: 0 if None.

    Returns:
        The input's shape, with each dimension longer by its two counts.

    Raises:
        TypeError: an argument that is not a Tensor.
        ValueError: counts that are not pairs, more pairs than dimensions, more padding than the mode has elements for.

    >>> F.pad(tensor([1, 2, 3]), (1, 2))
    tensor([0, 1, 2, 3, 0, 0])
    """
    expect_tensors("pad", input=input)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise ValueError(f'pad: mode must be "constant", "reflect", "replicate" or "circular"; got {mode!r}')
    if not isinstance(pad, Sequence) or len(pad) % 2 or not all(map(is_integer, pad)):
        raise ValueError(f"pad: expected (before, after) pairs of ints, of the last dimension first; got {pad!r}")
    if len(pad) > 2 * input.ndim:
        raise ValueError(f"pad: {len(pad) // 2} pairs for an input of shape {input.shape}")
    if value is not None and mode != "constant":
        raise ValueError(f"pad: value {value} with mode {mode!r}: only the mode constant takes one")
    for dim, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), 1):
        input = _padded(input, input.ndim - dim, before, after, mode, value or 0)
    return input


def _padded(x: Tensor, dim: int, before: int, after: int, mode: PaddingMode, value: float) -> Tensor:
    extent = x.shape[dim]
    if before < 0 or after < 0:
        if extent + before + after < 0:
            raise ValueError(f"pad: {before} and {after} remove more than dim {dim} of shape {x.shape} has")
        x = _part(x, dim, max(-before, 0), extent + min(after, 0))
        before, after, extent = max(before, 0), max(after, 0), x.shape[dim]
    most = {"reflect": extent - 1, "circular": extent, "replicate": max(before, after) if extent else 0}
    if max(before, after) > most.get(mode, before + after):
        raise ValueError(
            f"pad: {before} and {after} around dim {dim} of shape {x.shape} with mode {mode!r}: expected at "
            f"most {max(most[mode], 0)}"
        )
    if not before and not after:
        return x
    if mode == "constant":
        ends = [_filled(x, dim, count, value) for count in (before, after)]
    elif mode == "reflect":
        ends = [_part(x, dim, 1, before + 1, True), _part(x, dim, extent - 1 - after, extent - 1, True)]
    elif mode == "replicate":
        ends = [_repeated(x, dim, 0, before), _repeated(x, dim, extent - 1, after)]
    else:
        ends = [_part(x, dim, extent - before, extent), _part(x, dim, 0, after)]
    return sg.concatenate([part for part in (ends[0], x, ends[1]) if part is x or part.shape[dim]], dim)


def _part(x: Tensor, dim: int, start: int, stop: int, flipped: bool = False) -> Tensor:
    whole = (slice(None),) * dim
    part = x[(*whole, slice(start, stop))]
    return part[(*whole, slice(None, None, -1))] if flipped else part


def _filled(x: Tensor, dim: int, count: int, value: float) -> Tensor:
    return sg.full((*x.shape[:dim], count, *x.shape[dim + 1 :]), value, dtype=x.dtype, backend=x.backend)


def _repeated(x: Tensor, dim: int, index: int, count: int) -> Tensor:
    return _part(x, dim, index, index + 1).expand(*x.shape[:dim], count, *x.shape[dim + 1 :])
