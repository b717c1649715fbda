"""Dropout as a layer."""

from stackgrad.tensor import Generator, Tensor

from .. import functional as F
from ..module import Module


class Dropout(Module):
    """`functional.dropout` in training; the input itself in evaluation.

    Args:
        rate: the probability of a zero.
        generator: the source of the masks; the default generator where None.

    Raises:
        ValueError: a rate outside [0, 1].
    """

    def __init__(self, rate: float = 0.5, generator: Generator | None = None) -> None:
        self.rate = F.check_rate(rate)
        self.generator = generator

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.rate, ignore=not self.training, generator=self.generator)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"
