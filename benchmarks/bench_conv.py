"""The second convolution of LeNet, on a batch of 64."""

from functools import cache

from stackgrad.tensor import Generator, Tensor, conv2d, no_grad, randn


@cache
def operands() -> tuple[Tensor, Tensor, Tensor]:
    """x (64, 6, 14, 14), weight (16, 6, 5, 5), bias (16,); with a setup instead, asv would time single calls."""
    generator = Generator(0)
    return (
        randn(64, 6, 14, 14, generator=generator),
        randn(16, 6, 5, 5, generator=generator, requires_grad=True),
        randn(16, generator=generator, requires_grad=True),
    )


def time_conv2d() -> None:
    """Forward."""
    with no_grad():
        conv2d(*operands())


def time_conv2d_backward() -> None:
    """Forward and the gradients of weight and bias."""
    conv2d(*operands()).sum().backward()


time_conv2d.warmup_time = 1.0  # type: ignore[attr-defined]
time_conv2d_backward.warmup_time = 1.0  # type: ignore[attr-defined]
