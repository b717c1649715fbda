"""The methods of a tensor that change its shape or permute its dimensions, nearly always without a copy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Unpack

from ._checks import expect_tensors
from ._ops import Permute, expand
from ._reductions import NumPyNames, named_dims, one_dim
from ._shape import extents, normalize_dim, normalize_dims, resolve_shape
from ._types import Dims
from ._value import Value
from ._views import reshape, view

if TYPE_CHECKING:
    from ._tensor import Tensor


class Shaping(Value):
    """The results are views unless the docstring says otherwise: a write to a view changes the tensor."""

    __slots__ = ()

    def reshape(self, *shape: Any) -> Tensor:
        """The elements, in C order, in another shape; one extent may be -1. A view if possible, else a copy.

        >>> arange(6).reshape(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
        """
        return self._another(reshape(self, resolve_shape(extents(shape), self.data.size)))  # type: ignore[arg-type]

    def view(self, *shape: Any) -> Tensor:
        """As reshape, but always a view: a write to one shows in the other.

        Raises ValueError where PyTorch does, for example after a transpose. PyTorch's results are in C order: if this
        memory is not, the view uses a copy in C order, and every write to one is repeated in the other.

        >>> x = arange(4)
        >>> x.view(2, 2)[0] = 7
        >>> x
        tensor([7, 7, 2, 3])
        """
        return self._another(view(self, resolve_shape(extents(shape), self.data.size)))  # type: ignore[arg-type]

    def _another(self, view: Tensor) -> Tensor:
        """`view`, or if that is this tensor itself a new view of it, with its own `requires_grad` and `grad`."""
        return Permute.apply(self, tuple(range(self.ndim))) if view is self else view

    def view_as(self, other: Tensor) -> Tensor:
        """As `view`, in the shape of `other`.

        >>> arange(4).view_as(ones(2, 2))
        tensor([[0, 1],
                [2, 3]])
        """
        expect_tensors("view_as", other=other)
        return self.view(other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """As `reshape`, in the shape of `other`.

        >>> arange(6).reshape_as(ones(2, 3))
        tensor([[0, 1, 2],
                [3, 4, 5]])
        """
        expect_tensors("reshape_as", other=other)
        return self.reshape(other.shape)

    def expand_as(self, other: Tensor) -> Tensor:
        """As `expand`, to the shape of `other`.

        >>> tensor([[1], [2]]).expand_as(ones(2, 3))
        tensor([[1, 1, 1],
                [2, 2, 2]])
        """
        expect_tensors("expand_as", other=other)
        return self.expand(other.shape)

    def ravel(self) -> Tensor:
        """The elements in C order, in one dimension; a view if possible, else a copy.

        >>> ones(2, 3).ravel().shape
        (6,)
        """
        return self.reshape(-1)

    def permute(self, *dims: Any) -> Tensor:
        """The view whose dimension i is this tensor's dimension dims[i].

        >>> ones(2, 3, 4).permute(2, 0, 1).shape
        (4, 2, 3)
        """
        order = tuple(normalize_dim(d, self.ndim) for d in extents(dims))
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"permute {extents(dims)} of shape {self.shape}: expected each of {self.ndim} dims once")
        return Permute.apply(self, order)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """The view with two dimensions exchanged.

        >>> ones(2, 3, 4).transpose(0, 2).shape
        (4, 3, 2)
        """
        order = list(range(self.ndim))
        a, b = normalize_dim(dim0, self.ndim), normalize_dim(dim1, self.ndim)
        if order:
            order[a], order[b] = b, a
        return Permute.apply(self, tuple(order))

    @property
    def T(self) -> Tensor:
        """The view with the order of dimensions reversed.

        >>> arange(3).reshape(1, 3).T.shape
        (3, 1)
        """
        return Permute.apply(self, tuple(range(self.ndim))[::-1])

    def expand(self, *shape: Any) -> Tensor:
        """The view that repeats dimensions of extent 1 and adds leading ones; -1 keeps an extent.

        >>> tensor([[1], [2]]).expand(-1, 3)
        tensor([[1, 1, 1],
                [2, 2, 2]])
        """
        wanted = extents(shape)
        new = len(wanted) - self.ndim
        full = tuple(self.shape[i - new] if extent == -1 and i >= new else extent for i, extent in enumerate(wanted))
        if (
            new < 0
            or any(old not in (1, extent) for old, extent in zip(self.shape, full[new:], strict=True))
            or min(full, default=0) < 0
        ):
            raise ValueError(f"expand of shape {self.shape} to {wanted}: only extents of 1 can grow")
        return self._another(expand(self, full))  # type: ignore[arg-type]

    def squeeze(self, dim: Dims = None, **names: Unpack[NumPyNames]) -> Tensor:
        """The view without the dimensions of extent 1, or without those among `dim` (or `axis`).

        >>> ones(1, 2, 1).squeeze().shape
        (2,)
        """
        if names:
            dim = named_dims("squeeze", dim, names)
        dims = normalize_dims(dim, self.ndim)
        kept = tuple(n for i, n in enumerate(self.shape) if n != 1 or i not in dims)
        return self._another(reshape(self, kept))  # type: ignore[arg-type]

    def unsqueeze(self, dim: int | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """The view with a new dimension of extent 1 at `dim` (or `axis`).

        >>> tensor([1, 2]).unsqueeze(1).shape
        (2, 1)
        """
        dim = one_dim("unsqueeze", dim, names)
        at = normalize_dim(dim, self.ndim + 1)
        return reshape(self, (*self.shape[:at], 1, *self.shape[at:]))  # type: ignore[arg-type]

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The dimensions from `start_dim` to `end_dim`, inclusive, merged into one.

        >>> ones(2, 3, 4).flatten(1).shape
        (2, 12)
        """
        first, last = normalize_dim(start_dim, self.ndim), normalize_dim(end_dim, self.ndim)
        if first > last:
            raise ValueError(f"flatten from dim {start_dim} to {end_dim}: the first comes after the last")
        merged = math.prod(self.shape[first : last + 1])
        return reshape(self, (*self.shape[:first], merged, *self.shape[last + 1 :]))  # type: ignore[arg-type]
