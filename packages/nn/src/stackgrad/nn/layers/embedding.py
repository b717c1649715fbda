"""The embedding layer, which replaces each index with a row of its weight."""

from numpy.typing import DTypeLike

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_dims, expect_ints, expect_tensors
from stackgrad.tensor._embedding import padding_row

from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter


class Embedding(Module):
    """`functional.embedding` with weights of its own: int64 (...) to (..., embedding_dim).

    Args:
        num_embeddings: the number of rows.
        embedding_dim: the length of a row.
        padding_idx: the index of a row that starts as zeros, and to which no gradient flows.
        generator: the source of the initial weights, which are standard normal; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        weight: (num_embeddings, embedding_dim).

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: a size below 1.
        IndexError: a `padding_idx` out of range.

    >>> nn.Embedding(1000, 16)(tensor([[3, 1, 4]])).shape
    (1, 3, 16)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        expect_ints("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if num_embeddings < 1 or embedding_dim < 1:
            raise ValueError(f"Embedding needs at least one row and column; got {num_embeddings} and {embedding_dim}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_row(padding_idx, num_embeddings)
        weight = init.normal((num_embeddings, embedding_dim), 1.0, generator, dtype)
        if self.padding_idx is not None:
            with sg.no_grad():
                weight[self.padding_idx] = 0.0
        self.weight = Parameter(weight)

    @classmethod
    def from_pretrained(cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None) -> "Embedding":
        """A layer with these weights (rows, columns), which are not trained if `freeze`.

        >>> nn.Embedding.from_pretrained(tensor([[1.0, 2.0], [3.0, 4.0]]))(tensor([1]))
        tensor([[3., 4.]])
        """
        expect_tensors("from_pretrained", embeddings=embeddings)
        expect_dims("from_pretrained", embeddings, "rows", "columns")
        rows, columns = embeddings.shape
        layer = cls(rows, columns, padding_idx, dtype=embeddings.dtype)
        layer.weight = Parameter(embeddings.detach(), requires_grad=not freeze)
        return layer

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
