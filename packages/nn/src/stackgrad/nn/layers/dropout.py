"""Dropout as a layer."""

from stackgrad.tensor import Generator, Tensor

from .. import functional as F
from ..module import Module


class Dropout(Module):
    """`functional.dropout` in training; the input itself in evaluation.

    Args:
        p: the probability of a zero.
        generator: the source of the masks; the default generator where None.

    Raises:
        ValueError: a `p` outside [0, 1].
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        self.p = F.check_probability(p)
        self.generator = generator

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, generator=self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"
