"""What is said of an argument that is no backend or no tensor: what was expected, and how to do what was meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def not_a_backend(given: object, known: Sequence[str]) -> ValueError | TypeError:
    """ValueError for a name that is not among the `known` ones, TypeError for what is no name."""
    expected = f"expected one of {', '.join(known) or 'none'}"
    own = getattr(given, "name", None) if isinstance(given, type) else None
    dtype = dtype_of(given)
    if dtype is not None:
        kind = ValueError if isinstance(given, str) else TypeError
        return kind(
            f"{dtype} is a dtype, no backend: {expected}; .astype({dtype}) converts a tensor, dtype= is for new ones"
        )
    if isinstance(given, str):
        return ValueError(
            f"backend {given!r} is not installed: {expected}; 'cpu' and 'cuda' come with stackgrad-kernels"
        )
    if isinstance(own, str):
        return TypeError(f"{given.__name__} is the class of a backend: pass its name, {own!r}, or an object of it")  # type: ignore[attr-defined]
    return TypeError(f"{type(given).__name__} is no backend: {expected}, by its name")


def dtype_of(given: object) -> np.dtype[np.generic] | None:
    """The dtype that was given where a backend may be, if it is one."""
    numbers = (np.generic, bool, int, float)
    if not (isinstance(given, str | np.dtype) or (isinstance(given, type) and issubclass(given, numbers))):
        return None
    try:
        return np.dtype(given)
    except TypeError:
        return None


def not_a_tensor(what: str, given: object, expected: str = "a tensor") -> TypeError:
    """The error of a value that was given where `what` takes a tensor."""
    if isinstance(given, np.ndarray):
        return TypeError(f"{what}: got a NumPy array, expected {expected}; use tensor(...) or from_numpy(...)")
    remedy = "; use tensor(...)" if isinstance(given, bool | int | float | list | tuple | np.generic) else ""
    return TypeError(f"{what}: got {type(given).__name__}, expected {expected}{remedy}")
