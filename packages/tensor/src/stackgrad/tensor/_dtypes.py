"""The four dtypes, which are NumPy's, and their promotion.

Where NumPy and PyTorch disagree, PyTorch's rule holds: an integer with a float takes the float's dtype, whatever the
integer's width. A scalar, or a tensor without dimensions among others that have some, is weak: it counts by its dtype
kind (bool, integer, float) and never widens a float.
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

# A mixture takes the rightmost of its dtypes.
PROMOTION: tuple[np.dtype[Any], ...] = (bool_, int64, float32, float64)

EXPECTED = "float32, float64, int64 or bool"

_BY_KIND: dict[str, np.dtype[Any]] = {"b": bool_, "i": int64, "u": int64, "f": float32}


def as_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """`dtype` as one of the four. Raises TypeError for any other, and for None."""
    try:
        found = np.dtype(dtype)
    except TypeError:
        raise TypeError(f"{dtype!r} is not a dtype: expected {EXPECTED}") from None
    if found not in PROMOTION or dtype is None:
        raise TypeError(f"dtype {found if dtype is not None else None}: expected {EXPECTED}")
    return found


def expect_dtype(what: str, dtype: np.dtype[Any], remedy: str) -> None:
    """Raise TypeError unless `dtype` is one of the four."""
    if dtype not in PROMOTION:
        raise TypeError(f"{what} of dtype {dtype}: expected {EXPECTED}; {remedy}")


def is_float(dtype: np.dtype[Any]) -> bool:
    return dtype.kind == "f"


def nearest_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """`dtype` if it is one of the four, else the one of its dtype kind. Raises TypeError if there is none."""
    if dtype in PROMOTION:
        return dtype
    if dtype.kind not in _BY_KIND:
        raise TypeError(f"data of dtype {dtype}: expected real numbers")
    return _BY_KIND[dtype.kind]


class Symbolic:
    """A scalar whose value is not known yet (see _symbolic). `alone`: the dtype it has on its own."""

    __slots__ = ("expression",)
    alone: np.dtype[Any]
    expression: Any


def scalar_dtype(scalar: bool | int | float) -> np.dtype[Any]:
    """The dtype of a scalar on its own: float32 for a Python float, `nearest_dtype` for a NumPy scalar.

    Raises TypeError for anything but a real number.
    """
    if isinstance(scalar, np.generic):
        return nearest_dtype(scalar.dtype)
    if isinstance(scalar, Symbolic):
        return scalar.alone
    for python, dtype in ((bool, bool_), (int, int64), (float, float32)):
        if isinstance(scalar, python):
            return dtype
    shown = "operand" if isinstance(scalar, np.ndarray | list | tuple) else repr(scalar)
    raise not_a_tensor(shown, scalar, "a tensor or a real number")


def promote(
    dtypes: Sequence[np.dtype[Any]],
    scalars: Sequence[bool | int | float] = (),
    weak: Sequence[np.dtype[Any]] = (),
) -> np.dtype[Any]:
    """The common dtype of tensors of `dtypes`, of `scalars`, and of tensors without dimensions, of the dtypes `weak`.

    The last two count by their dtype kind: float64 with 2.5 stays float64, int64 with 2.5 becomes float32, and int64
    with a weak float64 becomes float64.
    """
    if not dtypes:  # where(condition, 1.0, 0.0): the scalars alone decide
        dtypes = [scalar_dtype(scalar) for scalar in scalars]
    same = dtypes.count(dtypes[0]) == len(dtypes)
    common = dtypes[0] if same else max(dtypes, key=PROMOTION.index)
    for alone in sorted(weak, key=PROMOTION.index, reverse=True):
        common = _widen(common, alone, alone)
    for scalar in scalars:
        alone = scalar_dtype(scalar)
        common = _widen(common, alone, float32 if is_float(alone) else alone)
    return common


def _widen(common: np.dtype[Any], alone: np.dtype[Any], wider: np.dtype[Any]) -> np.dtype[Any]:
    """`wider` if `alone` has a higher dtype kind than `common`, else `common`."""
    higher = PROMOTION.index(alone) > PROMOTION.index(common) and not (is_float(alone) and is_float(common))
    return wider if higher else common
