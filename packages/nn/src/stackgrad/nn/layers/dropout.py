"""Dropout layers: of elements, or of whole channels."""

from stackgrad.tensor import Generator, Tensor

from .. import functional as F
from ..functional._dropout import check_probability
from ..module import Module


class _Dropout(Module):
    """`functional.dropout` in training; the input itself in evaluation.

    Args:
        p: the probability of a zero.
        inplace: whether the result overwrites the input.
        generator: the source of the masks; the default generator if None.

    Raises:
        ValueError: a `p` outside [0, 1].
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        self.p = check_probability(p)
        self.inplace = inplace
        self.generator = generator

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace=True" if self.inplace else f"p={self.p}"


class Dropout(_Dropout):
    __doc__ = _Dropout.__doc__

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout1d(_Dropout):
    __doc__ = f"Dropout of whole channels of (batch, channels, width). {_Dropout.__doc__}"

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout2d(_Dropout):
    __doc__ = f"Dropout of whole channels of (batch, channels, height, width). {_Dropout.__doc__}"

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace, generator=self.generator)
