"""Indexing: the selected values, their gradients, and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..case import Pure, Shown
from ..draw import DTYPES, FLOATS, Array, Draw, Shape
from ..sides import Side, Tensor

MakeKey = Callable[[Side], Any]


def _slice(draw: Draw, extent: int) -> slice:
    bounds = [None if draw.chance(0.3) else draw.integer(-extent - 1, extent + 1) for _ in range(2)]
    return slice(bounds[0], bounds[1], draw.choice((None, 1, 1, 2, 3)))


def _index(draw: Draw, extent: int) -> int:
    """An index, sometimes out of range."""
    if draw.chance(0.02) or not extent:
        return extent + draw.integer(0, 1)
    return draw.integer(-extent, extent - 1)


def basic_key(draw: Draw, shape: Shape) -> tuple[Any, ...]:
    """Integers, slices, None and `...`."""
    parts: list[Any] = []
    for extent in shape[: draw.integer(0, len(shape))]:
        if draw.chance(0.15):
            parts.append(None)
        parts.append(_index(draw, extent) if draw.chance(0.4) else _slice(draw, extent))
    if draw.chance(0.2):
        parts.append(Ellipsis)
        if draw.chance(0.5) and len(parts) <= len(shape):
            parts.append(_slice(draw, shape[-1]) if shape else None)
    return tuple(parts)


def _indices(draw: Draw, extent: int, shape: Shape) -> Array:
    if not extent and not draw.chance(0.5):
        return np.zeros((0,), np.int64)
    low, high = (-extent, extent - 1) if extent and not draw.chance(0.02) else (0, extent)
    return np.asarray(draw.random.integers(low, high + 1, shape), np.int64)


def array_key(draw: Draw, shape: Shape) -> tuple[list[Any], bool]:
    """The parts of a key with index arrays, and whether one of them is a mask."""
    common = draw.shape(2, 3, empty=0.05)
    parts: list[Any] = []
    rest, masks = list(shape), False
    while rest:
        extent = rest[0]
        how = draw.choice(("array", "array", "list", "mask", "integer", "slice", "slice", "scalar", "none", "end"))
        if how == "end":
            break
        if how == "none":
            parts.append(None)
            continue
        if how == "mask":
            taken = draw.integer(1, min(2, len(rest)))
            mask = draw.array(tuple(rest[:taken]), "bool", laid=False)
            if draw.chance(0.02):
                mask = mask[1:]
            parts.append(mask)
            del rest[:taken]
            masks = True
            continue
        if how == "array":
            parts.append(_indices(draw, extent, draw.broadcastable(common)))
        elif how == "list":
            parts.append(_indices(draw, extent, (draw.choice((1, 1, *common[-1:])),)).tolist())
        elif how == "scalar":
            parts.append(np.asarray(_index(draw, extent), np.int64))
        elif how == "integer":
            parts.append(_index(draw, extent))
        else:
            parts.append(_slice(draw, extent))
        del rest[0]
    if rest and draw.chance(0.2):
        parts.append(Ellipsis)
    return parts, masks


def out_of_range(parts: Sequence[Any], shape: Shape) -> bool:
    """Whether an index array or an integer is out of range for its dimension."""
    dim = 0
    for part in parts:
        if part is None or part is Ellipsis:
            continue
        if isinstance(part, np.ndarray) and part.dtype == bool:
            dim += part.ndim
            continue
        if not isinstance(part, slice):
            found = np.asarray(part)
            if found.size and (found.min() < -shape[dim] or found.max() >= shape[dim]):
                return True
        dim += 1
    return False


def made(lib: Side, parts: Any) -> Any:
    """The key, with its arrays as tensors of this side."""
    key = tuple(lib.tensor(part) if isinstance(part, np.ndarray) else part for part in parts)
    return key[0] if len(key) == 1 and not isinstance(key[0], list) else key


def views(draw: Draw) -> Pure:
    """Basic indexing."""
    x = draw.array(draw.shape(empty=0.1), draw.choice(DTYPES))
    key = basic_key(draw, x.shape)
    return Pure(lambda lib, x: x[made(lib, key)] * True, [x])


def selected(draw: Draw) -> Pure:
    """Keys with index arrays, lists and masks."""
    x = draw.array(draw.shape(least=1, empty=0.1), draw.choice((*DTYPES, *FLOATS)))
    parts, masks = array_key(draw, x.shape)
    wrong = out_of_range(parts, x.shape)

    def apply(lib: Side, x: Tensor) -> Tensor:
        lib.refuse("index-of-nothing", wrong)
        return x[made(lib, parts)]

    return Pure(apply, [x], captures=not masks)


def selected_twice(draw: Draw) -> Pure:
    """Two indexing operations, with arithmetic in between."""
    x = draw.array(draw.shape(3, least=1, empty=0), draw.choice(FLOATS))
    first = basic_key(draw, x.shape)
    index = np.asarray(draw.random.integers(0, 10, 3), np.int64)

    def apply(lib: Side, x: Tensor) -> Tensor:
        y = x[made(lib, first)]
        y = (y * y).reshape(-1)
        return y[lib.tensor(index % max(int(y.shape[0]), 1))].sin()

    return Pure(apply, [x])


def written(draw: Draw, lib: Side, show: Shown) -> None:
    """x[key] = value: the values of x afterwards, and of a view of it."""
    dtype = draw.choice(DTYPES)
    base = draw.array(draw.shape(least=1, empty=0.05), dtype).copy()
    x = lib.tensor(base)
    view = x.transpose(0, -1)
    how = draw.choice(("basic", "arrays"))
    parts = basic_key(draw, base.shape) if how == "basic" else array_key(draw, base.shape)[0]
    parts = tuple(_without_repeats(p) for p in parts)
    lib.refuse("index-of-nothing", out_of_range(parts, base.shape))
    target = tuple(x[made(lib, parts)].shape)
    if draw.chance(0.4):
        value: Any = draw.choice((True, 0, 2, 2.5, -1))
        given = {bool: "bool", int: "int64", float: "float32"}[type(value)]
    else:
        given = draw.choice((dtype, *DTYPES))
        value = lib.tensor(draw.array(draw.broadcastable(target), given))
    show("selected", target)
    lib.refuse("lossy-write", DTYPES.index(given) > DTYPES.index(dtype) and dtype in ("bool", "int64"))
    lib.put(x, made(lib, parts), value, how == "arrays")
    show("x", lib.array(x))
    show("view", lib.array(view))


def _without_repeats(part: Any) -> Any:
    """One index, since the result of several writes to one element is not specified."""
    if isinstance(part, np.ndarray) and part.dtype == np.int64 and part.ndim:
        return np.asarray(part.reshape(-1)[:1])
    return part[:1] if isinstance(part, list) else part


def written_part(draw: Draw, lib: Side, show: Shown) -> None:
    """Writes a part of x to an overlapping part of x."""
    x = lib.tensor(draw.array((draw.integer(2, 8), 2), draw.choice(DTYPES), laid=False))
    n = draw.integer(1, int(x.shape[0]) - 1)
    if draw.chance(0.5):
        x[n:] = x[:-n].clone()
    else:
        x[:-n] = x[n:].clone()
    show("x", lib.array(x))


def iterated(draw: Draw, lib: Side, show: Shown) -> None:
    """len, iteration and unpacking."""
    x = lib.tensor(draw.array(draw.shape(3, empty=0.1), draw.choice(DTYPES)))
    show("length", len(x))
    for row in x:
        show("row", lib.array(row))
    show("list", x.tolist())


FAMILIES = (views, selected, selected, selected_twice)
PROGRAMS = (written, written, written_part, iterated)
