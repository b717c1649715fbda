"""Dropout layers: of elements, or of whole channels."""

from stackgrad.tensor import Generator, Tensor

from .. import functional as F
from ..functional._dropout import check_probability
from ..module import Module


class _Dropout(Module):
    """The base of the three: their arguments and representation."""

    def __init__(self, p: float = 0.5, inplace: bool = False, *, generator: Generator | None = None) -> None:
        self.p = check_probability(p)
        self.inplace = inplace
        self.generator = generator

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace=True" if self.inplace else f"p={self.p}"


class Dropout(_Dropout):
    """`functional.dropout` in training; the input itself in evaluation.

    Args:
        p: the probability of a zero.
        inplace: whether the result overwrites the input.
        generator: the source of the masks; the default generator if None.

    Raises:
        ValueError: a `p` outside [0, 1].

    >>> nn.Dropout(0.5).eval()(tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout1d(_Dropout):
    """Dropout of whole channels of (batch, channels, width); arguments and errors as for `Dropout`.

    >>> nn.Dropout1d(0.5).eval()(ones(1, 2, 3)).shape
    (1, 2, 3)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace, generator=self.generator)


class Dropout2d(_Dropout):
    """Dropout of whole channels of (batch, channels, height, width); arguments and errors as for `Dropout`.

    >>> nn.Dropout2d(0.5).eval()(ones(1, 2, 3, 3)).shape
    (1, 2, 3, 3)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace, generator=self.generator)
