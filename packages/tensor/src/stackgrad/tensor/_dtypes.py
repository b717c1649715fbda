"""The four dtypes, and what mixing them gives.

A dtype is NumPy's. Where NumPy and PyTorch disagree about a mixture PyTorch's rule holds: an integer met by a
float takes the float's dtype, whatever the integer's width; a number, or a tensor of no dimensions among others
that have some, takes part by its kind (bool, integer, float) and never widens a float.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ._errors import not_a_tensor

float32: np.dtype[Any] = np.dtype("float32")
float64: np.dtype[Any] = np.dtype("float64")
int64: np.dtype[Any] = np.dtype("int64")
bool_: np.dtype[Any] = np.dtype("bool")

# A mixture takes the rightmost dtype that takes part in it.
PROMOTION: tuple[np.dtype[Any], ...] = (bool_, int64, float32, float64)

EXPECTED = "float32, float64, int64 or bool"

_BY_KIND: dict[str, np.dtype[Any]] = {"b": bool_, "i": int64, "u": int64, "f": float32}


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """`dtype` as one of the four. Raises TypeError for any other, and for None."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{dtype!r} is no dtype: expected {EXPECTED}") from None
    if found not in PROMOTION or dtype is None:
        raise TypeError(f"dtype {found if dtype is not None else None}: expected {EXPECTED}")
    return found


def expect_dtype(what: str, dtype: np.dtype[Any], remedy: str) -> None:
    """Raise TypeError unless the dtype of what was given is one of the four."""
    if dtype not in PROMOTION:
        raise TypeError(f"{what} of dtype {dtype}: expected {EXPECTED}; {remedy}")


def is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f"


def nearest_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """`dtype` if it is one of the four, else the one of its kind. Raises TypeError where there is none."""
    if dtype in PROMOTION:
        return dtype
    if dtype.kind not in _BY_KIND:
        raise TypeError(f"data of dtype {dtype}: expected real numbers")
    return _BY_KIND[dtype.kind]


class Symbolic:
    """A number whose value is not known yet (see _symbolic). `alone`: the dtype it has on its own."""

    __slots__ = ("expression",)
    alone: np.dtype[Any]
    expression: Any


def number_dtype(number: bool | int | float) -> np.dtype[Any]:
    """The dtype a number has on its own: a Python float is float32, a NumPy number keeps its dtype where it can.

    Raises TypeError for anything but a real number.
    """
    if isinstance(number, np.generic):
        return nearest_dtype(number.dtype)
    if isinstance(number, Symbolic):
        return number.alone
    for python, dtype in ((bool, bool_), (int, int64), (float, float32)):
        if isinstance(number, python):
            return dtype
    shown = "operand" if isinstance(number, np.ndarray | list | tuple) else repr(number)
    raise not_a_tensor(shown, number, "a tensor or a real number")


def promote(
    dtypes: Sequence[np.dtype[Any]],
    numbers: Sequence[bool | int | float] = (),
    weak: Sequence[np.dtype[Any]] = (),
) -> np.dtype[Any]:
    """The common dtype of tensors of `dtypes`, of plain `numbers`, and of tensors without dimensions, the `weak`.

    The last two take part by their kind: float64 with 2.5 stays float64, int64 with 2.5 becomes float32, and with
    a weak float64 it becomes that.
    """
    if not dtypes:  # where(condition, 1.0, 0.0): the numbers alone decide
        dtypes = [number_dtype(number) for number in numbers]
    same = dtypes.count(dtypes[0]) == len(dtypes)
    common = dtypes[0] if same else max(dtypes, key=PROMOTION.index)
    for alone in sorted(weak, key=PROMOTION.index, reverse=True):
        common = _widen(common, alone, alone)
    for number in numbers:
        alone = number_dtype(number)
        common = _widen(common, alone, float32 if is_float(alone) else alone)
    return common


def _widen(common: np.dtype[Any], alone: np.dtype[Any], wider: np.dtype[Any]) -> np.dtype[Any]:
    """`wider` if the dtype `alone` is of a higher kind than `common`, else `common`."""
    higher = PROMOTION.index(alone) > PROMOTION.index(common) and not (is_float(alone) and is_float(common))
    return wider if higher else common
