"""Checks of arguments, and the friendly forms of sizes and padding, converted to the pairs that tensors take."""

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from stackgrad.tensor import Tensor

Pair: TypeAlias = tuple[int, int]
Size: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | str | Sequence[int] | Sequence[Sequence[int]]


Activation: TypeAlias = Literal["relu"] | None


def is_relu(activation: Activation) -> bool:
    """Whether `activation` is "relu" rather than None.

    Raises:
        ValueError: any other value.
    """
    if activation not in (None, "relu"):
        raise ValueError(f'activation must be "relu" or None; got {activation!r}')
    return activation is not None


def expect_tensor(what: str, value: object) -> None:
    """TypeError unless `value` is a Tensor; `what` names it: "the input of conv2d"."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{what} must be a Tensor; got {described(value)}")


def expect_tensors(function: str, **values: object) -> None:
    """TypeError unless each of these arguments of `function` is a Tensor; `bias` may be None."""
    for name, value in values.items():
        if not isinstance(value, Tensor) and (value is not None or name != "bias"):
            raise TypeError(f"{function}: {name} must be a Tensor; got {described(value)}")


def expect_optional(function: str, **values: object) -> None:
    """TypeError unless each of these arguments of `function` is a Tensor or None."""
    expect_tensors(function, **{name: value for name, value in values.items() if value is not None})


def described(value: object) -> str:
    """The type of a value that is not a Tensor, and how to convert it if that is known."""
    name = type(value).__name__
    if isinstance(value, np.ndarray):
        return f"{name}: use stackgrad.tensor.from_numpy(...)"
    if isinstance(value, bool | int | float | list | tuple | np.generic):
        return f"{name}: use stackgrad.tensor.tensor(...)"
    return name


def is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


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


def _is_checked(value: object, count: int, least: int) -> bool:
    """Whether `value` is a tuple of `count` ints, each `least` or more: what a layer passes at each call."""
    if type(value) is not tuple or len(value) != count:
        return False
    for v in value:  # noqa: SIM110 - faster
        if type(v) is not int or v < least:
            return False
    return True


def sizes(name: str, value: Size, dims: int, least: int = 1) -> tuple[int, ...]:
    """One integer per dimension, from a single one for all dimensions or from a sequence of `dims` of them.

    Raises:
        ValueError: any other form, an integer below `least`.
    """
    if _is_checked(value, dims, least):
        return value  # type: ignore[return-value]
    values = tuple(value) if isinstance(value, Sequence) else (value,) * dims
    if len(values) != dims or not all(is_integer(v) and v >= least for v in values):
        raise ValueError(
            f"{name} must be an int or {dims} of them (one per dimension), at least {least}; got {value!r}"
        )
    return tuple(int(v) for v in values)


def _paddings(
    padding: Padding, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """One (before, after) pair per dimension, from any form that `sliding` takes."""
    dims = len(stride)
    if type(padding) is tuple and len(padding) == dims and all(map(_is_checked, padding, (2,) * dims, (0,) * dims)):
        return padding
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0),) * dims
        if padding != "same":
            raise ValueError(f'padding by name must be "same" or "valid"; got {padding!r}')
        if any(s != 1 for s in stride):
            raise ValueError(f'padding "same" needs stride 1; got stride {tuple(stride)}')
        extents = (*kernel, *(1,) * dims)  # the weight may lack dimensions: the convolution rejects it later
        totals = [d * (k - 1) for k, d in zip(extents, dilation, strict=False)]
        return tuple((total // 2, total - total // 2) for total in totals)
    each = tuple(padding) if isinstance(padding, Sequence) else (padding,) * dims
    pairs = [tuple(p) if isinstance(p, Sequence) else (p, p) for p in each]
    if len(pairs) != dims or any(len(p) != 2 or not all(is_integer(v) and v >= 0 for v in p) for p in pairs):
        raise ValueError(
            f'padding must be an int, {dims} of them (one per dimension), {dims} (before, after) pairs, "same" or '
            f'"valid", none negative; got {padding!r}'
        )
    return tuple((int(before), int(after)) for before, after in pairs)


def sliding(
    dims: int, kernel: Sequence[int], stride: Size, padding: Padding, dilation: Size
) -> tuple[tuple[int, ...], tuple[Pair, ...], tuple[int, ...]]:
    """How a window slides over the last `dims` dimensions: its stride, padding and dilation, one entry per dimension.

    `padding` is an int, one int per dimension, one (before, after) pair per dimension, "valid" (none) or "same" (the
    output has the input's size: stride 1 only; an odd zero goes to the end).

    Raises:
        ValueError: any other form, a value that is too small, "same" with a stride other than 1.
    """
    strides, dilations = sizes("stride", stride, dims), sizes("dilation", dilation, dims)
    return strides, _paddings(padding, kernel, strides, dilations), dilations


def expect_dims(function: str, input: Tensor, *dims: str) -> None:
    """ValueError unless `input` has one dimension for each of the names `dims`."""
    if input.ndim != len(dims):
        raise ValueError(f"{function}: input of shape {input.shape}: expected ({', '.join(dims)})")
