"""Errors for arguments that are not a backend or a tensor: what was expected, and what to write instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def not_a_backend(given: object, known: Sequence[str]) -> ValueError | TypeError:
    """The error for `given`: ValueError for a name that is not `known`, TypeError for anything but a name."""
    expected = f"expected one of {', '.join(known) or 'none'}"
    own = getattr(given, "name", None) if isinstance(given, type) else None
    dtype = dtype_of(given)
    if dtype is not None:
        error = ValueError if isinstance(given, str) else TypeError
        return error(
            f"{dtype} is a dtype, not a backend: {expected}; .astype({dtype}) converts a tensor, dtype= is for new ones"
        )
    if isinstance(given, str):
        return ValueError(
            f"backend {given!r} is not installed: {expected}; 'cpu' and 'cuda' come with stackgrad-kernels"
        )
    if isinstance(own, str):
        name = given.__name__  # type: ignore[attr-defined]
        return TypeError(f"{name} is the class of a backend: pass its name, {own!r}, or an instance of it")
    return TypeError(f"{type(given).__name__} is not a backend: {expected}, by its name")


def dtype_of(given: object) -> np.dtype[np.generic] | None:
    """The dtype that `given` names, or None."""
    scalars = (np.generic, bool, int, float)
    if not (isinstance(given, str | np.dtype) or (isinstance(given, type) and issubclass(given, scalars))):
        return None
    try:
        return np.dtype(given)
    except TypeError:
        return None


def not_a_tensor(what: str, given: object, expected: str = "a tensor") -> TypeError:
    """The TypeError for `given` where `what` takes a tensor."""
    if isinstance(given, np.ndarray):
        return TypeError(f"{what}: got a NumPy array, expected {expected}; use tensor(...) or from_numpy(...)")
    remedy = "; use tensor(...)" if isinstance(given, bool | int | float | list | tuple | np.generic) else ""
    return TypeError(f"{what}: got {type(given).__name__}, expected {expected}{remedy}")
