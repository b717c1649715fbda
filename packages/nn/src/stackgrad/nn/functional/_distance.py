"""Normalisation of vectors, and distances between them."""

from typing import Unpack

from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_numbers, expect_tensors
from stackgrad.tensor._reductions import NumPyNames, one_dim


def normalize(
    input: Tensor, p: float = 2.0, dim: int | None = None, eps: float = 1e-12, **names: Unpack[NumPyNames]
) -> Tensor:
    """Divide input by its `p`-norm along `dim` (1 if None), or by `eps` if that is larger; the shape is the input's.

    Raises TypeError for integers and bools, and IndexError for a `dim` that the input does not have.

    >>> F.normalize(tensor([[3.0, 4.0]]))
    tensor([[0.6, 0.8]])
    """
    try:
        return input / input.norm(p, one_dim("normalize", dim, names, 1), keepdim=True).clamp_min(eps)
    except (AttributeError, TypeError):
        expect_tensors("normalize", input=input)
        expect_numbers("normalize", eps=eps)
        raise


def cosine_similarity(
    x1: Tensor, x2: Tensor, dim: int | None = None, eps: float = 1e-8, **names: Unpack[NumPyNames]
) -> Tensor:
    """The cosine of the angle between x1 and x2 along `dim` (1 if None), which is removed; the two broadcast.

    A norm below `eps` counts as `eps`. Raises as `normalize`, and ValueError for shapes that do not broadcast.

    >>> F.cosine_similarity(tensor([[1.0, 0.0]]), tensor([[0.0, 2.0]]))
    tensor([0.])
    """
    dim = one_dim("cosine_similarity", dim, names, 1)
    try:
        return (normalize(x1, dim=dim, eps=eps) * normalize(x2, dim=dim, eps=eps)).sum(dim)
    except TypeError:
        expect_tensors("cosine_similarity", x1=x1, x2=x2)
        raise


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The `p`-norm of x1 - x2 + eps over the last dimension, which is removed unless `keepdim`.

    Raises as `normalize`, and ValueError for shapes that do not broadcast.

    >>> F.pairwise_distance(tensor([[0.0, 0.0]]), tensor([[3.0, 4.0]]), eps=0.0)
    tensor([5.])
    """
    expect_tensors("pairwise_distance", x1=x1, x2=x2)
    expect_numbers("pairwise_distance", eps=eps)
    return (x1 - x2 + eps).norm(p, -1, keepdim)
