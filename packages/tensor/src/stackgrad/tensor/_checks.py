"""Argument checks that convolution, pooling and the other layers share."""

from __future__ import annotations

from ._dtypes import is_float
from ._errors import not_a_tensor
from ._value import Value


def expect_float(what: str, x: Value) -> None:
    if not isinstance(x, Value):
        raise not_a_tensor(what, x)
    if not is_float(x.dtype):
        raise TypeError(f"{what}: input of dtype {x.dtype}: expected float32 or float64")


def expect_image(what: str, x: Value) -> None:
    expect_float(what, x)
    if x.ndim != 4:
        raise ValueError(f"{what}: input of shape {x.shape}: expected (batch, channels, height, width)")


def expect_classes(what: str, target: Value, classes: int) -> None:
    """Raise ValueError unless all elements of the int64 `target` are 0 to classes - 1 (see Backend.checked_index)."""
    message = f"{what}: target holds class {{}}: expected 0 to {classes - 1}"
    target.backend.checked_index(target.data, 0, classes, ValueError, message)


def expect_same_dtype(what: str, x: Value, **others: Value | None) -> None:
    for name, other in others.items():
        if other is not None and other.dtype != x.dtype:
            raise TypeError(
                f"{what}: input has dtype {x.dtype} and {name} {other.dtype}: expected the same; use .astype(...)"
            )
