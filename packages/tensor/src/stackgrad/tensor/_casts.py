"""The methods of a tensor that convert its dtype, by PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from numpy.typing import DTypeLike

from . import _ops
from ._checks import expect_tensors
from ._dtypes import as_dtype, bool_, float32, float64, int64
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Casts(Value):
    """Each method returns the tensor itself if it has that dtype already."""

    __slots__ = ()

    def float(self) -> Tensor:
        """As float32.

        >>> tensor([1, 2]).float()
        tensor([1., 2.])
        """
        return _cast(self, float32)

    def double(self) -> Tensor:
        """As float64.

        >>> tensor([0.5]).double()
        tensor([0.5], dtype=float64)
        """
        return _cast(self, float64)

    def long(self) -> Tensor:
        """As int64, truncated towards 0.

        >>> tensor([1.9, -1.9]).long()
        tensor([ 1, -1])
        """
        return _cast(self, int64)

    def bool(self) -> Tensor:
        """Whether each element is nonzero.

        >>> tensor([0.0, 0.5]).bool()
        tensor([False,  True])
        """
        return _cast(self, bool_)

    def type(self, dtype: DTypeLike) -> Tensor:
        """As `dtype`: `astype`.

        >>> tensor([1, 2]).type(float32)
        tensor([1., 2.])
        """
        return _cast(self, dtype)

    def type_as(self, other: Tensor) -> Tensor:
        """As the dtype of `other`.

        >>> tensor([1, 2]).type_as(ones(1))
        tensor([1., 2.])
        """
        expect_tensors("type_as", other=other)
        return _cast(self, other.dtype)


def _cast(x: Casts, dtype: DTypeLike) -> Tensor:
    return _ops.cast(cast("Tensor", x), as_dtype(dtype))
