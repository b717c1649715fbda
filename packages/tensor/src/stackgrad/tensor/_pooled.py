"""The gradient that max pooling passes to a convolution with a fused relu: it is spread over the pixels only on demand.

The convolution does not need that. Where the largest value under a window is 0 or below, the relu passes no gradient:
so the masked gradient is computed window by window, in one pass over the image (`Backend.max_pool2d_relu_grad`). Other
code reads `data` and gets the gradient of the pool's input.
"""

from __future__ import annotations

from ._tensor import Tensor
from ._types import Array, Pair
from ._window import Window


class PooledGradient(Tensor):
    """The adjoint of a max pool for g (n, c, oh, ow), of shape (n, c, *extents)."""

    __slots__ = ("_spread", "extents", "g", "taps", "window")
    _spread: Array

    def __init__(self, g: Tensor, taps: Tensor, extents: Pair, window: Window) -> None:
        self.g, self.taps, self.extents, self.window = g, taps, extents, window
        super().__init__(None, g.backend)

    @property
    def data(self) -> Array:
        if self._spread is None:
            self._spread = self.backend.max_pool2d_grad(self.g.data, self.taps.data, self.extents, self.window)
        return self._spread

    @data.setter
    def data(self, data: Array) -> None:
        self._spread = data

    def _settled(self) -> Tensor:
        return self.new(self.data)
