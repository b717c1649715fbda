"""Convolution layers."""

from typing import Literal, TypeAlias

from numpy.typing import DTypeLike

from stackgrad.tensor import Generator, Tensor, Window
from stackgrad.tensor._checks import expect_activation, expect_ints, expect_tensors
from stackgrad.tensor._types import Activation, Extents, Padding

from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter
from ._settings import settings

Around: TypeAlias = Literal["zeros", "reflect", "replicate", "circular"]
"""The values around the input: zeros, or as `functional.pad` adds them."""


def expect_channels(in_channels: int, out_channels: int, groups: int) -> None:
    """TypeError unless all are integers, ValueError unless both are positive multiples of `groups`."""
    expect_ints("convolution", in_channels=in_channels, out_channels=out_channels, groups=groups)
    if in_channels < 1 or out_channels < 1 or groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(
            f"in_channels {in_channels} and out_channels {out_channels} must be positive multiples of groups {groups}"
        )


class _Conv(Module):
    """The base of both: their arguments, checked once, and their weights."""

    dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Extents,
        stride: Extents = 1,
        padding: Padding = 0,
        dilation: Extents = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Around = "zeros",
        generator: Generator | None = None,
        activation: Activation = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_channels(in_channels, out_channels, groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        window = Window(kernel_size, stride, padding, dilation, self.dims)
        self.kernel_size, self.stride, self.padding, self.dilation = window.of_last(self.dims)
        self.groups = groups
        self.padding_mode: Around = padding_mode
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            known = '"zeros", "reflect", "replicate" or "circular"'
            raise ValueError(f"padding_mode must be {known}; got {padding_mode!r}")
        expect_activation(activation)
        self.activation = activation
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        weight, offset = init.layer_weight_and_bias(shape, bias, generator, dtype)
        self.weight = Parameter(weight)
        self.bias = None if offset is None else Parameter(offset)

    def _padded(self, input: Tensor) -> tuple[Tensor, Padding]:
        """The input, padded unless with zeros, and the zero padding that is still to do."""
        if self.padding_mode == "zeros":
            return input, self.padding
        expect_tensors(type(self).__name__, input=input)
        if input.ndim != self.dims + 2:
            return input, 0  # the function raises
        flat = [count for sides in reversed(self.padding) for count in sides]  # of the last dimension first
        return F.pad(input, flat, self.padding_mode), 0

    def extra_repr(self) -> str:
        ones = (1,) * self.dims
        window = {"kernel_size": None, "stride": ones, "padding": ((0, 0),) * self.dims, "dilation": ones}
        shown = settings(self, **window, groups=1, bias=True, padding_mode="zeros", activation=None)
        return f"{self.in_channels}, {self.out_channels}, {shown}"


class Conv1d(_Conv):
    """`functional.conv1d` with weights of its own: (batch, in_channels, width) to (batch, out_channels, out_width).

    Args:
        in_channels, out_channels: positive multiples of `groups`.
        kernel_size, stride, dilation: an int or (columns,).
        padding: an int, (columns,), ((left, right),), "same" or "valid".
        groups: see `functional.conv2d`.
        bias: whether to add a bias.
        padding_mode: the values around the input: "zeros", or as in `functional.pad` "reflect", "replicate" or
            "circular".
        generator: the source of the initial weights; the default generator if None.
        activation: "relu" applies `relu` to the result in the same pass, which is faster than a separate layer.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel_width).
        bias: (out_channels,), or None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: an invalid argument, or arguments that do not match.

    >>> nn.Conv1d(4, 8, 3, padding="same")(ones(1, 4, 16)).shape
    (1, 8, 16)
    """

    dims = 1

    def forward(self, input: Tensor) -> Tensor:
        input, padding = self._padded(input)
        return F.conv1d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, self.activation
        )


class Conv2d(_Conv):
    """`functional.conv2d` with weights of its own: (batch, in_channels, height, width) to (batch, out_channels, ...).

    Args:
        in_channels, out_channels: positive multiples of `groups`.
        kernel_size, stride, dilation: an int or (rows, columns).
        padding: an int, (rows, columns), ((top, bottom), (left, right)), "same" or "valid".
        groups: see `functional.conv2d`.
        bias: whether to add a bias.
        padding_mode: the values around the input: "zeros", or as in `functional.pad` "reflect", "replicate" or
            "circular".
        generator: the source of the initial weights; the default generator if None.
        activation: "relu" applies `relu` to the result in the same pass, which is faster than a separate layer.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight: (out_channels, in_channels / groups, kernel_height, kernel_width).
        bias: (out_channels,), or None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: an invalid argument, or arguments that do not match.

    >>> nn.Conv2d(1, 6, 5, padding=2)(ones(1, 1, 28, 28)).shape
    (1, 6, 28, 28)
    """

    dims = 2

    def forward(self, input: Tensor) -> Tensor:
        input, padding = self._padded(input)
        return F.conv2d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, self.activation
        )
