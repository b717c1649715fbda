"""Pooling layers."""

from stackgrad.tensor import Tensor

from .. import functional as F
from .._arguments import Padding, Size, paddings, sizes
from ..module import Module


class _Pool2d(Module):
    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Padding = 0) -> None:
        self.kernel_size = sizes("kernel_size", kernel_size, 2)
        self.stride = self.kernel_size if stride is None else sizes("stride", stride, 2)
        self.padding = paddings(padding, self.kernel_size, self.stride, (1, 1))

    def extra_repr(self) -> str:
        parts = [f"kernel_size={self.kernel_size}"]
        if self.stride != self.kernel_size:
            parts.append(f"stride={self.stride}")
        if self.padding != ((0, 0), (0, 0)):
            parts.append(f"padding={self.padding}")
        return ", ".join(parts)


class MaxPool2d(_Pool2d):
    """`functional.max_pool2d` with these arguments: (batch, channels, height, width), the last two made smaller."""

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding)


class AvgPool2d(_Pool2d):
    """`functional.avg_pool2d` with these arguments: (batch, channels, height, width), the last two made smaller."""

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding)
