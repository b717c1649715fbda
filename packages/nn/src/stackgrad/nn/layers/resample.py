"""The layer that resizes images and sequences."""

from collections.abc import Sequence
from typing import Literal

from stackgrad.tensor import Tensor

from .. import functional as F
from ..functional._resample import Scale
from ..module import Module


class Upsample(Module):
    """`functional.interpolate` with these arguments: (batch, channels, ...), the last dimensions resized.

    >>> nn.Upsample(scale_factor=2)(ones(1, 2, 4, 4)).shape
    (1, 2, 8, 8)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: Scale = None,
        mode: Literal["nearest", "linear", "bilinear"] = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        self.size = size
        self.scale_factor = scale_factor
        self.mode: Literal["nearest", "linear", "bilinear"] = mode
        self.align_corners = align_corners

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        to = f"scale_factor={self.scale_factor}" if self.size is None else f"size={self.size}"
        return f"{to}, mode={self.mode!r}"
