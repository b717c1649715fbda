"""Initial weights. Each function returns a new tensor of the given shape, float32 unless `dtype` says otherwise.

A function with a trailing underscore overwrites a tensor or parameter instead and returns it; these have PyTorch's
names, arguments and meaning.

All random values are drawn on the host, so that every backend starts from equal values. A weight's shape is
(out_features, in_features) or (out_channels, in_channels, kernel sizes...). The fan in is the number of inputs that one
output sums over, the fan out the number of outputs that one input reaches.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_numbers

from ._arguments import expect_tensor, sizes

Fan: TypeAlias = Literal["fan_in", "fan_out"]
"""What keeps its variance: the values in the forward pass, or the gradients in the backward pass."""


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """(fan in, fan out) of a weight with this shape.

    Raises:
        ValueError: fewer than two dimensions, or a fan of 0.

    >>> init.fans((6, 1, 5, 5))
    (25, 150)
    """
    _expect_shape(shape)
    if len(shape) < 2:
        raise ValueError(f"a fan needs a weight with at least 2 dimensions, (out, in, ...); got shape {tuple(shape)}")
    receptive = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * receptive, shape[0] * receptive
    if fan_in == 0 or fan_out == 0:
        raise ValueError(f"a weight needs at least one element; got shape {tuple(shape)}")
    return fan_in, fan_out


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """The factor by which weights must grow to keep the variance through this nonlinearity.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu" or "leaky_relu".
        slope: the slope of leaky ReLU below zero.

    Raises:
        ValueError: an unknown name.

    >>> round(init.gain("relu"), 3)
    1.414
    """
    expect_numbers("gain", slope=slope)
    if not isinstance(nonlinearity, str):
        raise TypeError(f"gain: nonlinearity must be the name of one; got {nonlinearity!r}")
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
    }
    if nonlinearity not in gains:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}; expected one of {', '.join(gains)}")
    return gains[nonlinearity]


calculate_gain = gain


def uniform(shape: Sequence[int], bound: float, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Uniform on [-bound, bound).

    >>> init.uniform((120, 400), bound=0.1).shape
    (120, 400)
    """
    expect_numbers("uniform", bound=bound)
    _expect_shape(shape)
    draws = sg.rand(*shape, dtype=dtype, generator=generator, backend="numpy")
    return _on_default_backend(draws * (2 * bound) - bound)


def normal(shape: Sequence[int], std: float, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Normal with mean 0 and the given standard deviation.

    >>> init.normal((120, 400), std=0.01).shape
    (120, 400)
    """
    expect_numbers("normal", std=std)
    _expect_shape(shape)
    return _on_default_backend(sg.randn(*shape, dtype=dtype, generator=generator, backend="numpy") * std)


def kaiming_uniform(
    shape: Sequence[int],
    gain: float = math.sqrt(2),
    mode: Fan = "fan_in",
    generator: Generator | None = None,
    dtype: Any = None,
) -> Tensor:
    """Uniform with standard deviation gain / sqrt(fan), for layers followed by a ReLU (the default gain).

    Source: He et al., "Delving Deep into Rectifiers", ICCV 2015. "fan_in" keeps the variance of the activations,
    "fan_out" the variance of the gradients.

    Raises:
        ValueError: fewer than two dimensions, an empty weight, an unknown mode.

    >>> init.kaiming_uniform((120, 400)).shape
    (120, 400)
    """
    expect_numbers("kaiming_uniform", gain=gain)
    return uniform(shape, math.sqrt(3) * gain / math.sqrt(_fan(shape, mode)), generator, dtype)


def kaiming_normal(
    shape: Sequence[int],
    gain: float = math.sqrt(2),
    mode: Fan = "fan_in",
    generator: Generator | None = None,
    dtype: Any = None,
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan); otherwise as `kaiming_uniform`.

    >>> init.kaiming_normal((120, 400)).shape
    (120, 400)
    """
    expect_numbers("kaiming_normal", gain=gain)
    return normal(shape, gain / math.sqrt(_fan(shape, mode)), generator, dtype)


def xavier_uniform(
    shape: Sequence[int], gain: float = 1.0, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Uniform with standard deviation gain * sqrt(2 / (fan in + fan out)), for layers followed by tanh or sigmoid.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.

    Raises:
        ValueError: fewer than two dimensions, an empty weight.

    >>> init.xavier_uniform((120, 400)).shape
    (120, 400)
    """
    expect_numbers("xavier_uniform", gain=gain)
    return uniform(shape, gain * math.sqrt(6 / sum(fans(shape))), generator, dtype)


def xavier_normal(
    shape: Sequence[int], gain: float = 1.0, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Normal with standard deviation gain * sqrt(2 / (fan in + fan out)); otherwise as `xavier_uniform`.

    >>> init.xavier_normal((120, 400)).shape
    (120, 400)
    """
    expect_numbers("xavier_normal", gain=gain)
    return normal(shape, gain * math.sqrt(2 / sum(fans(shape))), generator, dtype)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Overwrite the tensor with uniform values on [a, b).

    >>> init.uniform_(empty(120, 400), -0.1, 0.1).shape
    (120, 400)
    """
    expect_numbers("uniform_", a=a, b=b)
    return _overwrite(tensor, lambda shape: sg.rand(*shape, **_draw_options(tensor, generator)) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Overwrite the tensor with normal values of that mean and standard deviation.

    >>> init.normal_(empty(120, 400), std=0.01).shape
    (120, 400)
    """
    expect_numbers("normal_", mean=mean, std=std)
    return _overwrite(tensor, lambda shape: sg.randn(*shape, **_draw_options(tensor, generator)) * std + mean)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Overwrite the tensor with one value.

    >>> init.constant_(ones(2), 0.5)
    tensor([0.5, 0.5])
    """
    return _overwrite(tensor, lambda shape: sg.full(shape, val, dtype=tensor.dtype, backend=tensor.backend))


def zeros_(tensor: Tensor) -> Tensor:
    """Overwrite the tensor with zeros.

    >>> init.zeros_(empty(2))
    tensor([0., 0.])
    """
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Overwrite the tensor with ones.

    >>> init.ones_(empty(2))
    tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Overwrite the tensor with values of `xavier_uniform`.

    >>> init.xavier_uniform_(empty(120, 400)).shape
    (120, 400)
    """
    expect_numbers("xavier_uniform_", gain=gain)
    return _overwrite(tensor, lambda shape: xavier_uniform(shape, gain, generator, tensor.dtype))


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Overwrite the tensor with values of `xavier_normal`.

    >>> init.xavier_normal_(empty(120, 400)).shape
    (120, 400)
    """
    expect_numbers("xavier_normal_", gain=gain)
    return _overwrite(tensor, lambda shape: xavier_normal(shape, gain, generator, tensor.dtype))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: Fan = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Overwrite the tensor with `kaiming_uniform`, gain by nonlinearity; `a` is the slope of leaky ReLU.

    >>> init.kaiming_uniform_(empty(120, 400), nonlinearity="relu").shape
    (120, 400)
    """
    return _overwrite(
        tensor, lambda shape: kaiming_uniform(shape, gain(nonlinearity, a), mode, generator, tensor.dtype)
    )


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: Fan = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Overwrite the tensor with `kaiming_normal`, gain by nonlinearity; `a` is the slope of leaky ReLU.

    >>> init.kaiming_normal_(empty(120, 400), nonlinearity="relu").shape
    (120, 400)
    """
    return _overwrite(tensor, lambda shape: kaiming_normal(shape, gain(nonlinearity, a), mode, generator, tensor.dtype))


def layer_weight_and_bias(
    shape: Sequence[int], bias: bool, generator: Generator | None = None, dtype: Any = None
) -> tuple[Tensor, Tensor | None]:
    """The default of `Linear` and the convolutions, as in PyTorch: both uniform within 1 / sqrt(fan in).

    For the weight this is `kaiming_uniform` for a leaky ReLU of slope sqrt(5).

    >>> weight, bias = init.layer_weight_and_bias((120, 400), bias=True)
    >>> weight.shape, bias.shape
    ((120, 400), (120,))
    """
    weight = kaiming_uniform(shape, gain("leaky_relu", math.sqrt(5)), generator=generator, dtype=dtype)
    return weight, uniform(shape[:1], 1 / math.sqrt(fans(shape)[0]), generator, dtype) if bias else None


def _overwrite(tensor: Tensor, values: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """Copy `values` of the tensor's shape into it, and return it."""
    expect_tensor("the argument of an initialiser", tensor)
    with sg.no_grad():
        tensor.copy_(values(tensor.shape).to(tensor.backend))
    return tensor


def _draw_options(tensor: Tensor, generator: Generator | None) -> dict[str, Any]:
    """The options for random values of the tensor's dtype."""
    return {"dtype": tensor.dtype, "generator": generator, "backend": "numpy"}


def _expect_shape(shape: object) -> None:
    if isinstance(shape, Tensor):
        raise TypeError(
            f"the functions of nn.init take a shape and return a new tensor; got a {type(shape).__name__} of shape "
            f"{shape.shape}: pass x.shape, and write the result into x with x.copy_(...) under no_grad()"
        )
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise TypeError(f"the functions of nn.init take a shape, such as (out, in); got {type(shape).__name__}")
    sizes("the shape of a weight", shape)


def _fan(shape: Sequence[int], mode: Fan) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out"; got {mode!r}')
    fan_in, fan_out = fans(shape)
    return fan_in if mode == "fan_in" else fan_out


def _on_default_backend(host: Tensor) -> Tensor:
    return host.to(sg.get_backend())
