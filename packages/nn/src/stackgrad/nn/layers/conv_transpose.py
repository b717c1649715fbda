"""Transposed convolution layers."""

import math

from numpy.typing import DTypeLike

from stackgrad.tensor import Generator, Tensor, Window
from stackgrad.tensor._types import Extents, Padding
from stackgrad.tensor._window import one_per_dim

from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter
from ._settings import settings
from .conv import expect_channels


class _ConvTranspose(Module):
    """The base of both: their arguments, checked once, and their weights."""

    dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Extents,
        stride: Extents = 1,
        padding: Padding = 0,
        output_padding: Extents = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Extents = 1,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_channels(in_channels, out_channels, groups)
        self.in_channels = in_channels
        self.out_channels = out_channels
        window = Window(kernel_size, stride, padding, dilation, self.dims)
        self.kernel_size, self.stride, self.padding, self.dilation = window.of_last(self.dims)
        self.output_padding = one_per_dim("output_padding", output_padding, self.dims, 0)
        self.groups = groups
        shape = (in_channels, out_channels // groups, *self.kernel_size)
        weight, _ = init.layer_weight_and_bias(shape, False, generator, dtype)
        self.weight = Parameter(weight)
        bound = 1 / math.sqrt(init.fans(shape)[0])
        self.bias = Parameter(init.uniform((out_channels,), bound, generator, dtype)) if bias else None

    def extra_repr(self) -> str:
        zeros, ones = (0,) * self.dims, (1,) * self.dims
        window = {"kernel_size": None, "stride": None, "padding": ((0, 0),) * self.dims, "output_padding": zeros}
        shown = settings(self, **window, dilation=ones, groups=1, bias=True)
        return f"{self.in_channels}, {self.out_channels}, {shown}"


class ConvTranspose1d(_ConvTranspose):
    """`functional.conv_transpose1d` with weights of its own: (batch, in_channels, width) to (batch, out_channels, ...).

    Args:
        in_channels, out_channels: positive multiples of `groups`.
        kernel_size, stride, dilation, output_padding: an int or (columns,).
        padding: an int, (columns,) or ((left, right),).
        groups: see `functional.conv2d`.
        bias: whether to add a bias.
        generator: the source of the initial weights; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight: (in_channels, out_channels / groups, kernel_width).
        bias: (out_channels,), or None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: an invalid argument, or arguments that do not match.

    >>> nn.ConvTranspose1d(8, 4, 2, stride=2)(ones(1, 8, 16)).shape
    (1, 4, 32)
    """

    dims = 1

    def forward(self, input: Tensor) -> Tensor:
        return F.conv_transpose1d(
            *(input, self.weight, self.bias, self.stride, self.padding, self.output_padding),
            *(self.groups, self.dilation),
        )


class ConvTranspose2d(_ConvTranspose):
    """`functional.conv_transpose2d` with weights of its own: (batch, in_channels, height, width) to (batch, ...).

    Args:
        in_channels, out_channels: positive multiples of `groups`.
        kernel_size, stride, dilation, output_padding: an int or (rows, columns).
        padding: an int, (rows, columns) or ((top, bottom), (left, right)).
        groups: see `functional.conv2d`.
        bias: whether to add a bias.
        generator: the source of the initial weights; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight: (in_channels, out_channels / groups, kernel_height, kernel_width).
        bias: (out_channels,), or None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: an invalid argument, or arguments that do not match.

    >>> nn.ConvTranspose2d(6, 1, 2, stride=2)(ones(1, 6, 14, 14)).shape
    (1, 1, 28, 28)
    """

    dims = 2

    def forward(self, input: Tensor) -> Tensor:
        return F.conv_transpose2d(
            *(input, self.weight, self.bias, self.stride, self.padding, self.output_padding),
            *(self.groups, self.dilation),
        )
