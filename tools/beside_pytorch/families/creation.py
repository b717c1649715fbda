"""Tensors from Python values, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..case import Shown
from ..draw import DTYPES, Draw
from ..sides import Side


def _nested(draw: Draw, shape: tuple[int, ...], leaf: Any) -> Any:
    return [_nested(draw, shape[1:], leaf) for _ in range(shape[0])] if shape else leaf()


def from_lists(draw: Draw, lib: Side, show: Shown) -> None:
    """Nested lists and tuples of mixed bools, ints and floats; ragged ones raise."""
    leaves = draw.some((True, False, 1, -2, 0.5, 1e10, float("nan"), float("inf")), 1)
    data = _nested(draw, draw.shape(3, 3, empty=0.1), lambda: draw.choice(leaves))
    if isinstance(data, list) and len(data) > 1 and isinstance(data[0], list) and draw.chance(0.1):
        data[0] = [*data[0], 1]
    if isinstance(data, list) and draw.chance(0.3):
        data = tuple(data)
    dtype = draw.choice((None, None, *DTYPES))
    if dtype in ("bool", "int64") and any(k != k or abs(k) == float("inf") for k in leaves):
        return  # the conversion of NaN to an int is not specified
    x = lib.made(data, dtype)
    show("x", lib.array(x))
    show("list", x.tolist())


def filled(draw: Draw, lib: Side, show: Shown) -> None:
    """zeros, ones, full and arange."""
    how = draw.choice(("zeros", "ones", "full", "arange", "arange"))
    dtype = draw.choice((None, *DTYPES))
    if how == "arange":
        bounds = draw.choice(
            (
                (5,),
                (2, 7),
                (0, 10, 3),
                (1.5,),
                (0, 1, 0.25),
                (5, 0, -1),
                (3, 3),
                (5, 2),
                (0, 2, -1),
                (1, 2.5),
                (0.5, 4, 1.5),
            )
        )
        if dtype == "bool":
            dtype = None
        show("arange", lib.array(lib.arange(*bounds, dtype=lib.dtype(dtype) if dtype else None)))
        return
    shape = draw.shape(3, empty=0.1)
    given = None if dtype is None else lib.dtype(dtype)
    if how == "full":
        value = draw.choice((True, 3, 0.5, -1))
        show("full", lib.array(lib.library.full(shape, value, dtype=given)))
        return
    make = getattr(lib.library, how)
    show(
        how,
        lib.array(make(shape, dtype=given) if draw.chance(0.5) else make(*shape, dtype=given) if shape else make(())),
    )


def scalars(draw: Draw, lib: Side, show: Shown) -> None:
    """item, float, int, bool, index and format."""
    dtype = draw.choice(DTYPES)
    x = lib.tensor(draw.array(draw.choice(((), (1,), (1, 1), (2,))), dtype, draw.choice(("normal", "small"))))
    how = draw.choice(("item", "float", "int", "bool", "index", "format", "list", "range"))
    found: dict[str, Callable[[], Any]] = {
        "item": lambda: x.item(),
        "float": lambda: float(x),
        "int": lambda: int(x),
        "bool": lambda: bool(x),
        "index": lambda: [10, 20, 30, 40, 50, 60, 70][x],
        "format": lambda: f"{x:.3f}" if x.ndim == 0 and dtype.startswith("float") else "",
        "list": lambda: x.tolist(),
        "range": lambda: list(range(x)) if dtype == "int64" and x.ndim == 0 else [],
    }
    show(how, found[how]())


def casts(draw: Draw, lib: Side, show: Shown) -> None:
    """From each dtype to each dtype."""
    dtype, other = draw.choice(DTYPES), draw.choice(DTYPES)
    x = lib.tensor(draw.array(draw.shape(3), dtype, draw.choice(("normal", "small"))))
    y = lib.cast(x, other)
    show("cast", lib.array(y))
    show("itself", y is x)


FAMILIES = ()
PROGRAMS = (from_lists, filled, scalars, casts)
