"""What NumPy does between the kernels, such that a captured function can do it again (see stackgrad.tensor's _tape)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor import capturing

P = ParamSpec("P")
R = TypeVar("R")


def on_host(function: Callable[P, R]) -> Callable[P, R]:
    """A function of arrays by NumPy. On replay it is called again, and its results are copied over the first ones.

    All of NumPy's work on the values of tensors in this backend is done in such functions. Results that are views of
    the arguments show their new values by themselves.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        results = function(*args, **kwargs)
        if capturing.tape is not None:
            made = [new for new in _arrays(results) if not any(np.may_share_memory(new, old) for old in _arrays(args))]
            if made or results is None:
                capturing.tape.append(lambda: _again(function, args, kwargs, results))
        return results

    return run


def _arrays(values: object) -> list[NDArray[np.generic]]:
    several = values if isinstance(values, tuple) else (values,)
    return [x for x in several if isinstance(x, np.ndarray)]


def _again(function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any], results: R) -> None:
    for old, new in zip(_arrays(results), _arrays(function(*args, **kwargs)), strict=True):
        if not np.may_share_memory(old, new):
            np.copyto(old, new)
