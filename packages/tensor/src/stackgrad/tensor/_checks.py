"""What the kinds of kernels demand of their arguments alike."""

from __future__ import annotations

from ._autograd import Value
from ._dtypes import is_float


def expect_float(what: str, x: Value) -> None:
    if not is_float(x.dtype):
        raise TypeError(f"{what}: input of dtype {x.dtype}: expected float32 or float64")


def expect_image(what: str, x: Value) -> None:
    if x.ndim != 4:
        raise ValueError(f"{what}: input of shape {x.shape}: expected (batch, channels, height, width)")
    expect_float(what, x)


def expect_same_dtype(what: str, x: Value, **others: Value | None) -> None:
    for name, other in others.items():
        if other is not None and other.dtype != x.dtype:
            raise TypeError(
                f"{what}: input has dtype {x.dtype} and {name} {other.dtype}: expected the same; use .astype(...)"
            )
