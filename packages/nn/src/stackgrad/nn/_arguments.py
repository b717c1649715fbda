"""Checks of the arguments of optimizers, schedules and data, and of saved states."""

import math
import numbers
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from stackgrad.tensor import Tensor
from stackgrad.tensor._errors import not_a_tensor
from stackgrad.tensor._window import is_integer

T = TypeVar("T")


def expect_tensor(what: str, value: object) -> None:
    """TypeError unless `value` is a tensor; `what` names it: "parameter 0"."""
    if not isinstance(value, Tensor):
        raise not_a_tensor(what, value)


def expect_module(what: str, value: object) -> None:
    """TypeError unless `value` is a Module."""
    if not hasattr(value, "named_modules"):
        raise TypeError(f"{what} takes a Module; got {type(value).__name__}")


def several(name: str, values: Iterable[T]) -> list[T]:
    """`values` as a list. TypeError if it cannot be iterated."""
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a sequence; got {type(values).__name__}")
    return list(values)


def sizes(name: str, value: Any) -> tuple[int, ...]:
    """`value`, an int or a sequence of ints, as a tuple. TypeError for anything else."""
    given = value if isinstance(value, (tuple, list)) or _is_sequence(value) else (value,)
    try:
        return tuple([operator.index(size) for size in given])
    except TypeError:
        raise TypeError(f"{name} must be an int or a sequence of ints; got {value!r}") from None


def _is_sequence(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


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
