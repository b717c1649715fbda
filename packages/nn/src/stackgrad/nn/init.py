"""Initial weights. Each function returns a new tensor of the given shape, float32 unless `dtype` says otherwise.

All draws are made on the host, so that every backend starts from equal values. A weight's shape is (out_features,
in_features) or (out_channels, in_channels, kernel sizes...): the fan in is the number of inputs that one output sums
over, the fan out the number of outputs that one input reaches.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor

Fan: TypeAlias = Literal["fan_in", "fan_out"]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """(fan in, fan out) of a weight of this shape.

    Raises:
        ValueError: fewer than two dimensions, or a fan of 0.
    """
    _expect_shape(shape)
    if len(shape) < 2:
        raise ValueError(f"a fan needs a weight of at least 2 dimensions, (out, in, ...); got shape {tuple(shape)}")
    receptive = math.prod(shape[2:])
    fan_in, fan_out = shape[1] * receptive, shape[0] * receptive
    if fan_in == 0 or fan_out == 0:
        raise ValueError(f"a weight needs at least one element; got shape {tuple(shape)}")
    return fan_in, fan_out


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """How much larger weights must be to keep the variance through this nonlinearity.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu" or "leaky_relu".
        slope: that of leaky ReLU below zero.

    Raises:
        ValueError: another name.
    """
    gains = {
        "linear": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
    }
    if nonlinearity not in gains:
        raise ValueError(f"unknown nonlinearity {nonlinearity!r}; known are {', '.join(gains)}")
    return gains[nonlinearity]


def uniform(shape: Sequence[int], bound: float, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Uniform on [-bound, bound)."""
    _expect_shape(shape)
    draws = sg.rand(*shape, dtype=dtype, generator=generator, backend="numpy")
    return _on_default_backend(draws * (2 * bound) - bound)


def normal(shape: Sequence[int], std: float, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Normal of mean 0 and the given standard deviation."""
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
    "fan_out" that of the gradients.

    Raises:
        ValueError: fewer than two dimensions, an empty weight, an unknown mode.
    """
    return uniform(shape, math.sqrt(3) * gain / math.sqrt(_fan(shape, mode)), generator, dtype)


def kaiming_normal(
    shape: Sequence[int],
    gain: float = math.sqrt(2),
    mode: Fan = "fan_in",
    generator: Generator | None = None,
    dtype: Any = None,
) -> Tensor:
    """Normal with standard deviation gain / sqrt(fan); otherwise as `kaiming_uniform`."""
    return normal(shape, gain / math.sqrt(_fan(shape, mode)), generator, dtype)


def xavier_uniform(
    shape: Sequence[int], gain: float = 1.0, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Uniform with standard deviation gain * sqrt(2 / (fan in + fan out)), for layers followed by tanh or sigmoid.

    Source: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.

    Raises:
        ValueError: fewer than two dimensions, an empty weight.
    """
    return uniform(shape, gain * math.sqrt(6 / sum(fans(shape))), generator, dtype)


def xavier_normal(
    shape: Sequence[int], gain: float = 1.0, generator: Generator | None = None, dtype: Any = None
) -> Tensor:
    """Normal with standard deviation gain * sqrt(2 / (fan in + fan out)); otherwise as `xavier_uniform`."""
    return normal(shape, gain * math.sqrt(2 / sum(fans(shape))), generator, dtype)


def layer_weight_and_bias(
    shape: Sequence[int], bias: bool, generator: Generator | None = None, dtype: Any = None
) -> tuple[Tensor, Tensor | None]:
    """The default of `Linear` and the convolutions, which is PyTorch's: both uniform within 1 / sqrt(fan in).

    For the weight this is `kaiming_uniform` for a leaky ReLU of slope sqrt(5).
    """
    weight = kaiming_uniform(shape, gain("leaky_relu", math.sqrt(5)), generator=generator, dtype=dtype)
    return weight, uniform(shape[:1], 1 / math.sqrt(fans(shape)[0]), generator, dtype) if bias else None


def _expect_shape(shape: object) -> None:
    if isinstance(shape, Tensor):
        raise TypeError(
            f"the functions of nn.init take a shape and return a new tensor; got a {type(shape).__name__} of shape "
            f"{shape.shape}: give x.shape, and write the result into x by x.copy_(...) under no_grad()"
        )
    if not isinstance(shape, Sequence) or isinstance(shape, str):
        raise TypeError(f"the functions of nn.init take a shape, as (out, in); got {type(shape).__name__}")


def _fan(shape: Sequence[int], mode: Fan) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'mode must be "fan_in" or "fan_out"; got {mode!r}')
    fan_in, fan_out = fans(shape)
    return fan_in if mode == "fan_in" else fan_out


def _on_default_backend(host: Tensor) -> Tensor:
    return host.to(sg.get_backend())
