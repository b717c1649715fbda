"""A part of `torch.linalg`: vector norms and products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from numpy.typing import DTypeLike

from ._checks import expect_tensors
from ._matmul import matmul
from ._reductions import NumPyNames, numpy_names
from ._shape import normalize_dims
from ._types import Dims

if TYPE_CHECKING:
    from ._tensor import Tensor


def vector_norm(
    x: Tensor,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: DTypeLike | None = None,
    **names: Unpack[NumPyNames],
) -> Tensor:
    """The vector norm of all elements, or over `dim`: `Tensor.norm`.

    >>> linalg.vector_norm(tensor([3.0, 4.0]))
    tensor(5.)
    """
    expect_tensors("linalg.vector_norm", x=x)
    return x.norm(ord, dim, keepdim, dtype, **names)


def norm(
    A: Tensor,
    ord: float | str | None = None,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: DTypeLike | None = None,
    **names: Unpack[NumPyNames],
) -> Tensor:
    """The vector norm over one `dim`, or with `ord` None or "fro" the norm of all elements or over several dims.

    Raises ValueError for other norms of matrices.

    >>> linalg.norm(tensor([[3.0, 4.0]]), dim=1)
    tensor([5.])
    """
    expect_tensors("linalg.norm", A=A)
    if names:
        dim, keepdim = numpy_names("linalg.norm", dim, keepdim, names)
    over = len(normalize_dims(dim, A.ndim))
    if ord not in (None, "fro") and over > 1:
        raise ValueError(
            f"linalg.norm with ord {ord!r} of a matrix: expected None or 'fro'; vector_norm takes all dims"
        )
    return A.norm(ord, dim, keepdim, dtype)


__all__ = ["matmul", "norm", "vector_norm"]
