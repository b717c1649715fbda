"""Normalisation over batches, layers and groups of channels."""

from collections.abc import Sequence

from numpy.typing import DTypeLike

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_activation, expect_ints, expect_numbers, expect_tensors
from stackgrad.tensor._types import Activation

from .. import functional as F
from .._arguments import sizes
from ..module import Module
from ..parameter import Buffer, Parameter


class _BatchNorm(Module):
    """The base of both: their arguments, parameters and buffers."""

    ndims: tuple[int, ...]
    normalise = staticmethod(F.batch_norm)
    """The function that normalises: `distributed.convert_sync_batchnorm` replaces it."""
    ignored_state = ("num_batches_tracked",)  # PyTorch counts batches, for a momentum of None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        activation: Activation = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_ints(type(self).__name__, num_features=num_features)
        expect_numbers(type(self).__name__, eps=eps, momentum=momentum)
        if num_features < 1:
            raise ValueError(f"{type(self).__name__} needs at least one channel; got {num_features}")
        self.num_features = num_features
        self.weight, self.bias = _scale_and_shift((num_features,), affine, affine, dtype)
        self.running_mean = Buffer(sg.zeros(num_features, dtype=dtype))
        self.running_var = Buffer(sg.ones(num_features, dtype=dtype))
        self.eps = eps
        self.momentum = momentum
        expect_activation(activation)
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        expect_tensors(type(self).__name__, input=input)
        if input.ndim not in self.ndims:
            allowed = " or ".join(map(str, self.ndims))
            raise ValueError(f"{type(self).__name__} takes an input of {allowed} dimensions; got shape {input.shape}")
        return self.normalise(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
            self.activation,
        )

    def extra_repr(self) -> str:
        affine = "" if self.weight is not None else ", affine=False"
        activation = f", activation={self.activation!r}" if self.activation else ""
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}{affine}{activation}"


class BatchNorm1d(_BatchNorm):
    """`functional.batch_norm` of (batch, channels) or (batch, channels, width).

    It takes the batch's statistics in training, the running ones in evaluation.

    Args:
        num_features: the channels, the size of the input's second dimension.
        eps: added to the variance.
        momentum: the weight of the batch in the running statistics.
        affine: whether to scale and shift the result.
        activation: "relu" applies `relu` to the result in the same pass, which is faster than a separate layer.
        dtype: of parameters and buffers, float32 or float64; float32 if None.

    Attributes:
        weight, bias: (num_features,), scale and shift, or None.
        running_mean, running_var: (num_features,), buffers.

    Raises:
        TypeError: a dtype other than float32 and float64; in a call, an argument that is not a Tensor.
        ValueError: fewer than 1 channel, an unknown activation; in a call, an input with a wrong number of
            dimensions.

    >>> nn.BatchNorm1d(2)(ones(4, 2)).shape
    (4, 2)
    """

    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for (batch, channels, height, width), with the same arguments, attributes and errors.

    >>> nn.BatchNorm2d(6)(ones(4, 6, 8, 8)).shape
    (4, 6, 8, 8)
    """

    ndims = (4,)


class LayerNorm(Module):
    """`functional.layer_norm` with weights of its own, which keeps the shape.

    Args:
        normalized_shape: the sizes of the last dimensions, over which mean and variance are computed.
        eps: added to the variance.
        elementwise_affine: whether to scale and shift the result.
        bias: whether to shift the result.
        dtype: the parameters' dtype, float32 or float64; float32 if None.

    Attributes:
        weight, bias: (*normalized_shape), scale and shift, or None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: no dimensions.

    >>> nn.LayerNorm(2, bias=True)(tensor([[1.0, 3.0]])).round(decimals=3)
    tensor([[-1.,  1.]], requires_grad=True)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.normalized_shape = sizes("LayerNorm: normalized_shape", normalized_shape)
        expect_numbers("LayerNorm", eps=eps)
        if not self.normalized_shape:
            raise ValueError("LayerNorm: normalized_shape () is empty: expected one dimension or more")
        self.eps = eps
        self.weight, self.bias = _scale_and_shift(self.normalized_shape, elementwise_affine, bias, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = "" if self.weight is not None else ", elementwise_affine=False"
        bias = ", bias=False" if self.weight is not None and self.bias is None else ""
        return f"{self.normalized_shape}, eps={self.eps}{affine}{bias}"


class GroupNorm(Module):
    """`functional.group_norm` with weights of its own: (batch, channels, ...) to the same shape.

    Args:
        num_groups: a divisor of the channels.
        num_channels: the size of the input's second dimension.
        eps: added to the variance.
        affine: whether to scale and shift the result.
        dtype: the parameters' dtype, float32 or float64; float32 if None.

    Attributes:
        weight, bias: (num_channels,), scale and shift, or None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: groups that do not divide the channels.

    >>> nn.GroupNorm(2, 6)(ones(4, 6, 8, 8)).shape
    (4, 6, 8, 8)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_ints("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        expect_numbers("GroupNorm", eps=eps)
        if num_groups < 1 or num_channels < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups {num_groups} does not divide num_channels {num_channels}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.weight, self.bias = _scale_and_shift((num_channels,), affine, affine, dtype)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = "" if self.weight is not None else ", affine=False"
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}{affine}"


def _scale_and_shift(
    shape: tuple[int, ...], scaled: bool, shifted: bool, dtype: DTypeLike | None
) -> tuple[Parameter | None, Parameter | None]:
    weight = Parameter(sg.ones(*shape, dtype=dtype)) if scaled else None
    return weight, Parameter(sg.zeros(*shape, dtype=dtype)) if scaled and shifted else None
