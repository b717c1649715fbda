"""The methods of a tensor that read, fill or mask along diagonals."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from ._checks import expect_ints
from ._indexing import Embed
from ._ops import Permute, elementwise
from ._shape import normalize_dim
from ._value import Value
from ._views import reshape

if TYPE_CHECKING:
    from ._tensor import Tensor


class Diagonals(Value):
    """Diagonal `offset` holds the elements [..., i, i + offset] of two dimensions: 0 is the main diagonal."""

    __slots__ = ()

    def diagonal(self, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
        """The elements of a diagonal, as the last dimension; a view if the strides allow one.

        >>> arange(4).reshape(2, 2).diagonal()
        tensor([0, 3])
        """
        expect_ints("diagonal", offset=offset)
        a, b = (normalize_dim(d, self.ndim) for d in (dim1, dim2))
        if a == b:
            raise ValueError(f"diagonal of dims {dim1} and {dim2} of shape {self.shape}: expected two of them")
        rest = [d for d in range(self.ndim) if d not in (a, b)]
        x = Permute.apply(self, (*rest, a, b))
        rows, columns = x.shape[-2:]
        count = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
        flat = reshape(x, (*x.shape[:-2], rows * columns))
        return flat[(..., _diagonal(columns, count, offset))]

    def diag_embed(self, offset: int = 0) -> Tensor:
        """(..., n) as diagonal `offset` of square matrices (..., m, m), zeros elsewhere; m is n + abs(offset).

        >>> ones(5, 2).diag_embed().shape
        (5, 2, 2)
        """
        if not self.ndim:
            raise ValueError("diag_embed of a tensor without dimensions: expected one or more")
        expect_ints("diag_embed", offset=offset)
        *lead, n = self.shape
        m = n + abs(offset)
        key = (*[slice(None)] * len(lead), _diagonal(m, n, offset))
        return reshape(Embed.apply(self, key, (*lead, m * m)), (*lead, m, m))

    def diag(self, diagonal: int = 0) -> Tensor:
        """A copy of a diagonal of a matrix, or a matrix with this diagonal and zeros elsewhere.

        >>> tensor([1, 2]).diag()
        tensor([[1, 0],
                [0, 2]])
        """
        if self.ndim not in (1, 2):
            raise ValueError(f"diag of shape {self.shape}: expected one or two dimensions")
        expect_ints("diag", diagonal=diagonal)
        return self.diag_embed(diagonal) if self.ndim == 1 else self.diagonal(diagonal).clone()

    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix.

        >>> tensor([[1, 2], [3, 4]]).trace()
        tensor(5)
        """
        if self.ndim != 2:
            raise ValueError(f"trace of shape {self.shape}: expected two dimensions")
        return self.diagonal().sum()

    def tril(self, diagonal: int = 0) -> Tensor:
        """The last two dimensions with zeros above diagonal `diagonal`.

        >>> tensor([[1, 2], [3, 4]]).tril()
        tensor([[1, 0],
                [3, 4]])
        """
        return self._masked("tril", diagonal, True)

    def triu(self, diagonal: int = 0) -> Tensor:
        """The last two dimensions with zeros below diagonal `diagonal`.

        >>> tensor([[1, 2], [3, 4]]).triu()
        tensor([[1, 2],
                [0, 4]])
        """
        return self._masked("triu", diagonal, False)

    def _masked(self, what: str, diagonal: int, below: bool) -> Tensor:
        if self.ndim < 2:
            raise ValueError(f"{what} of shape {self.shape}: expected two dimensions or more")
        expect_ints(what, diagonal=diagonal)
        rows, columns = self.shape[-2:]
        kept = np.tri(rows, columns, diagonal if below else diagonal - 1, dtype=np.bool_) == below
        x = cast("Tensor", self)
        return elementwise("where", x.new(x.backend.from_numpy(kept)), x, False)


def _diagonal(columns: int, count: int, offset: int) -> slice:
    """The slice of `count` elements of a diagonal in a matrix flattened to one dimension."""
    first = max(offset, 0) + max(-offset, 0) * columns
    return slice(first, first + (count - 1) * (columns + 1) + 1, columns + 1) if count else slice(0)
