"""The shapes of the convolution benchmarks, also for the comparison with PyTorch."""

from __future__ import annotations

from typing import NamedTuple

from ._values import extent


class Conv(NamedTuple):
    """x (batch, channels, *size), `out` filters of `kernel` (square in two dimensions), stride 1."""

    batch: int
    channels: int
    size: tuple[int, ...]
    out: int
    kernel: int
    padding: int = 0

    @property
    def x(self) -> tuple[int, ...]:
        return (self.batch, self.channels, *self.size)

    @property
    def weight(self) -> tuple[int, ...]:
        return (self.out, self.channels, *(self.kernel,) * len(self.size))

    @property
    def result(self) -> tuple[int, ...]:
        return (self.batch, self.out, *(n + 2 * self.padding - self.kernel + 1 for n in self.size))

    @property
    def flops(self) -> int:
        """Operations of one direction: a multiplication and an addition per tap."""
        count = 2 * self.batch * self.out * self.channels
        for positions in self.result[2:]:
            count *= positions * self.kernel
        return count


_BATCH = extent(64, counted=4)
CONVS = {
    "64x1x28x28 to 6, 5x5 pad 2": Conv(_BATCH, 1, (28, 28), 6, 5, 2),
    "64x6x14x14 to 16, 5x5": Conv(_BATCH, 6, (14, 14), 16, 5),
    "64x4x28x28 to 8, 3x3 pad 1": Conv(_BATCH, 4, (28, 28), 8, 3, 1),
    "32x64x28x28 to 64, 3x3 pad 1": Conv(extent(32, counted=1), 64, extent((28, 28), counted=(14, 14)), 64, 3, 1),
    "16x128x14x14 to 256, 1x1": Conv(extent(16, counted=1), 128, (14, 14), 256, 1),
    "64x50x100 to 100, width 3": Conv(_BATCH, 50, (100,), 100, 3),
}
