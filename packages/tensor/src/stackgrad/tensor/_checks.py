"""Argument checks that convolution, pooling and the other layers share."""

from __future__ import annotations

from ._dtypes import Symbolic, is_float, scalar_dtype
from ._errors import not_a_tensor
from ._types import Activation
from ._value import Value


def expect_tensors(what: str, **values: object) -> None:
    """Raise TypeError unless each of these arguments of `what` is a tensor."""
    for name, value in values.items():
        if not isinstance(value, Value):
            raise not_a_tensor(f"{what}: {name}", value)


def expect_optional(what: str, **values: object) -> None:
    """Raise TypeError unless each of these arguments of `what` is a tensor or None."""
    expect_tensors(what, **{name: value for name, value in values.items() if value is not None})


def expect_ints(what: str, **values: object) -> None:
    """Raise TypeError unless each of these arguments of `what` is an integer."""
    for name, value in values.items():
        if type(value) is not int and not hasattr(type(value), "__index__"):
            raise TypeError(f"{what}: {name} must be an int; got {type(value).__name__}")


def expect_numbers(what: str, **values: object) -> None:
    """Raise TypeError unless each of these arguments of `what` is a real number, or a tensor of one."""
    for name, value in values.items():
        if not (isinstance(value, (float, int, Value, Symbolic)) or hasattr(type(value), "__float__")):
            raise TypeError(f"{what}: {name} must be a number; got {type(value).__name__}")


def expect_functions(what: str, **values: object) -> None:
    """Raise TypeError unless each of these arguments of `what` can be called."""
    for name, value in values.items():
        if not callable(value):
            raise TypeError(f"{what}: {name} must be a function; got {type(value).__name__}")


def expect_operands(what: str, *values: object) -> None:
    """Raise TypeError unless each of these operands of `what` is a tensor or a real number."""
    for value in values:
        if not isinstance(value, Value):
            try:
                scalar_dtype(value)  # type: ignore[arg-type]
            except TypeError:
                raise not_a_tensor(what, value, "a tensor or a real number") from None


def expect_float(what: str, x: Value) -> None:
    expect_tensors(what, input=x)
    if not is_float(x.dtype):
        raise TypeError(f"{what}: input of dtype {x.dtype}: expected float32 or float64")


def expect_dims(what: str, x: Value, *dims: str) -> None:
    """Raise ValueError unless x has one dimension for each of the names `dims`."""
    if x.ndim != len(dims):
        raise ValueError(f"{what}: input of shape {x.shape}: expected ({', '.join(dims)})")


def expect_image(what: str, x: Value) -> int:
    """2 for an image, or 1 for a sequence if `what` ends with 1d. Raises for other dimensions and other dtypes."""
    dims = ("width",) if what.endswith("1d") else ("height", "width")
    expect_dims(what, x, "batch", "channels", *dims)
    expect_float(what, x)
    return len(dims)


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


def expect_bias(what: str, bias: Value | None, outputs: int) -> None:
    if bias is not None and bias.shape != (outputs,):
        raise ValueError(f"{what}: bias of shape {bias.shape}: expected ({outputs},), one for each output")


def expect_activation(activation: Activation) -> None:
    """Raise ValueError unless `activation` is "relu" or None."""
    if activation not in (None, "relu"):
        raise ValueError(f'activation must be "relu" or None; got {activation!r}')
