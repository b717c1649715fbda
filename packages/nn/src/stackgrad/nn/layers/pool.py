"""Pooling layers."""

from stackgrad.tensor import Tensor, Window
from stackgrad.tensor._types import Extents, Padding

from .. import functional as F
from ..functional._adaptive_pool import Goal
from ..module import Module
from ._settings import settings


class _Pool(Module):
    """The base of the pooling layers: their windows, checked once."""

    dims: int

    def __init__(
        self, kernel_size: Extents, stride: Extents | None, padding: Padding, ceil_mode: bool, dilation: Extents = 1
    ) -> None:
        window = Window(kernel_size, kernel_size if stride is None else stride, padding, dilation, self.dims)
        self.kernel_size, self.stride, self.padding, self.dilation = window.of_last(self.dims)
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        window = {"kernel_size": None, "stride": self.kernel_size, "padding": ((0, 0),) * self.dims}
        return settings(self, **window, ceil_mode=False, dilation=(1,) * self.dims)


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Extents,
        stride: Extents | None = None,
        padding: Padding = 0,
        dilation: Extents = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, dilation)


class MaxPool1d(_MaxPool):
    """`functional.max_pool1d` with these arguments: (batch, channels, width), the last reduced.

    >>> nn.MaxPool1d(2)(tensor([[[1.0, 3.0, 5.0, 7.0]]]))
    tensor([[[3., 7.]]])
    """

    dims = 1

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool1d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool2d(_MaxPool):
    """`functional.max_pool2d` with these arguments: (batch, channels, height, width), the last two reduced.

    >>> nn.MaxPool2d(2)(ones(1, 2, 8, 8)).shape
    (1, 2, 4, 4)
    """

    dims = 2

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class AvgPool1d(_Pool):
    """`functional.avg_pool1d` with these arguments: (batch, channels, width), the last reduced.

    >>> nn.AvgPool1d(2)(tensor([[[1.0, 3.0, 5.0, 7.0]]]))
    tensor([[[2., 6.]]])
    """

    dims = 1

    def __init__(
        self,
        kernel_size: Extents,
        stride: Extents | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_Pool):
    """`functional.avg_pool2d` with these arguments: (batch, channels, height, width), the last two reduced.

    >>> nn.AvgPool2d(2)(ones(1, 2, 8, 8)).shape
    (1, 2, 4, 4)
    """

    dims = 2

    def __init__(
        self,
        kernel_size: Extents,
        stride: Extents | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            *(input, self.kernel_size, self.stride, self.padding),
            *(self.ceil_mode, self.count_include_pad, self.divisor_override),
        )


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size: Goal) -> None:
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool1d`: (batch, channels, width) to (batch, channels, output_size).

    >>> nn.AdaptiveAvgPool1d(5)(ones(1, 2, 8)).shape
    (1, 2, 5)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """`functional.adaptive_avg_pool2d`: (batch, channels, height, width) to (batch, channels, *output_size).

    >>> nn.AdaptiveAvgPool2d(1)(ones(1, 2, 8, 8)).shape
    (1, 2, 1, 1)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)
