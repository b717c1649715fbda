"""Checks of the arguments of optimizers, schedules and data, and of saved states."""

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from stackgrad.tensor import Tensor
from stackgrad.tensor._errors import not_a_tensor
from stackgrad.tensor._window import is_integer


def expect_tensor(what: str, value: object) -> None:
    """TypeError unless `value` is a tensor; `what` names it: "parameter 0"."""
    if not isinstance(value, Tensor):
        raise not_a_tensor(what, value)


def expect_ints(what: str, **values: Any) -> None:
    """TypeError unless each of these arguments of `what` is an integer."""
    for name, value in values.items():
        if not hasattr(type(value), "__index__"):
            raise TypeError(f"{what}: {name} must be an int; got {type(value).__name__}")


def not_negative(name: str, value: float) -> float:
    """`value` as a float. TypeError if it is not a number, ValueError if it is negative, infinite or NaN."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number; got {type(value).__name__}")
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, not negative; got {value}")
    return float(value)


def whole(name: str, value: Any) -> int:
    """`value` as an int. TypeError if it is not an integer, ValueError if it is negative."""
    if not is_integer(value):
        raise TypeError(f"{name} must be an int; got {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must not be negative; got {value}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """`value` as a bool. TypeError if it is not one."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def expect_keys(what: str, state: Any, keys: Iterable[str]) -> None:
    """TypeError if `state` is not a mapping, ValueError if it has other keys."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{what} must map names to values; got {type(state).__name__}")
    if set(state) != set(keys):
        raise ValueError(f"{what} has the keys {sorted(keys)}; got {sorted(map(str, state))}")
