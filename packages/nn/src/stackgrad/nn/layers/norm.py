"""Batch normalisation."""

from numpy.typing import DTypeLike

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .. import functional as F
from .._arguments import Activation, expect_tensors, is_relu
from ..module import Module
from ..parameter import Buffer, Parameter


class _BatchNorm(Module):
    """`functional.batch_norm`: the batch's statistics in training, the running ones in evaluation.

    Args:
        channels: the input's second size.
        eps: added to the variance.
        momentum: the share of the batch in the running statistics.
        activation: "relu" takes the `relu` of the result at once, which is faster than a layer behind this one.
        dtype: of parameters and buffers: float32 where None, or float64.

    Attributes:
        weight, bias: (channels,), scale and shift; trained.
        running_mean, running_var: (channels,), buffers.

    Raises:
        TypeError: another dtype; in a call, what is no Tensor.
        ValueError: a number of channels below 1, another activation; in a call, an input of another number of
            dimensions.
    """

    ndims: tuple[int, ...]
    ignored_state = ("num_batches_tracked",)  # PyTorch counts the batches; its momentum of None alone needs to know

    def __init__(
        self,
        channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        activation: Activation = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if channels < 1:
            raise ValueError(f"{type(self).__name__} needs at least one channel; got {channels}")
        self.weight = Parameter(sg.ones(channels, dtype=dtype))
        self.bias = Parameter(sg.zeros(channels, dtype=dtype))
        self.running_mean = Buffer(sg.zeros(channels, dtype=dtype))
        self.running_var = Buffer(sg.ones(channels, dtype=dtype))
        self.eps = eps
        self.momentum = momentum
        is_relu(activation)
        self.activation = activation

    def forward(self, input: Tensor) -> Tensor:
        expect_tensors(type(self).__name__, input=input)
        if input.ndim not in self.ndims:
            allowed = " or ".join(map(str, self.ndims))
            raise ValueError(f"{type(self).__name__} takes an input of {allowed} dimensions; got shape {input.shape}")
        return F.batch_norm(
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
        activation = f", activation={self.activation!r}" if self.activation else ""
        return f"{self.weight.shape[0]}, eps={self.eps}, momentum={self.momentum}{activation}"


class BatchNorm1d(_BatchNorm):
    __doc__ = f"(batch, channels) or (batch, channels, width). {_BatchNorm.__doc__}"
    ndims = (2, 3)


class BatchNorm2d(_BatchNorm):
    __doc__ = f"(batch, channels, height, width). {_BatchNorm.__doc__}"
    ndims = (4,)
