"""Comparing results with a reference, within a bound for each element."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._backend import Backend
from .._types import Array


def expect_equal(what: str, backend: Backend, found: Array, expected: NDArray[Any]) -> None:
    """Raise AssertionError unless dtype, shape and every value are equal; NaN equals NaN."""
    expect_close(what, backend, found, expected, 0.0)


def expect_close(what: str, backend: Backend, found: Array, expected: NDArray[Any], bound: ArrayLike) -> None:
    """Raise AssertionError unless dtype and shape are equal and values differ by at most `bound`, which broadcasts.

    An expected NaN or infinity must be matched exactly.
    """
    values = backend.to_numpy(found)
    prefix = f"{what} on {backend.name}"
    if values.shape != expected.shape or values.dtype != expected.dtype:
        raise AssertionError(
            f"{prefix} has shape {values.shape}, {values.dtype}: expected {expected.shape}, {expected.dtype}"
        )
    expect_near(prefix, values, expected, bound)


def expect_near(what: str, found: NDArray[Any], expected: NDArray[Any], bound: ArrayLike) -> None:
    """As `expect_close`, for two NumPy arrays of one shape whose dtypes may differ."""
    with np.errstate(all="ignore"):
        exact = (found == expected) | ((found != found) & (expected != expected))
        if not np.any(bound):
            good = exact
        else:
            wide = np.asarray(expected, np.float64)
            near = np.abs(found.astype(np.float64) - wide) <= bound
            good = exact | (np.isfinite(wide) & np.isfinite(found) & near)
    if not np.all(good):
        bad = np.argwhere(~np.asarray(good))
        at = tuple(int(i) for i in bad[0])
        allowed = np.broadcast_to(np.asarray(bound, np.float64), expected.shape)[at]
        raise AssertionError(
            f"{what} is wrong in {len(bad)} of {expected.size} elements, first at {at}: "
            f"{found[at]!r}, expected {expected[at]!r} within {allowed:.3g}"
        )


def ulps(expected: NDArray[Any], dtype: np.dtype[Any], count: float) -> NDArray[Any]:
    """The bound of `count` units in the last place of `dtype`; a subnormal result may be 0."""
    with np.errstate(all="ignore"):
        unit = np.spacing(np.abs(expected).astype(dtype)).astype(np.float64)
    return np.asarray(count * np.nan_to_num(unit, nan=0.0, posinf=0.0) + float(np.finfo(dtype).tiny))


def sum_bound(terms: int, magnitude: ArrayLike, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The bound for a sum of `terms` values whose magnitudes sum to `magnitude`.

    It allows one rounding per term; above 1024 terms a backend must sum in blocks.
    """
    eps = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
    roundings = 4.0 + min(terms, 32.0 * terms**0.5)
    with np.errstate(all="ignore"):
        return np.asarray(eps * roundings * np.asarray(magnitude, np.float64))
