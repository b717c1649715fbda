"""The methods of a tensor that convert its dtype, by PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from numpy.typing import DTypeLike

from . import _ops
from ._dtypes import as_dtype, bool_, float32, float64, int64
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Casts(Value):
    """Each method returns the tensor itself if it has that dtype already."""

    __slots__ = ()

    def float(self) -> Tensor:
        """As float32."""
        return _cast(self, float32)

    def double(self) -> Tensor:
        """As float64."""
        return _cast(self, float64)

    def long(self) -> Tensor:
        """As int64, truncated towards 0."""
        return _cast(self, int64)

    def bool(self) -> Tensor:
        """Whether each element is nonzero."""
        return _cast(self, bool_)

    def type(self, dtype: DTypeLike) -> Tensor:
        """As `dtype`: `astype`."""
        return _cast(self, dtype)

    def type_as(self, other: Tensor) -> Tensor:
        """As the dtype of `other`."""
        return _cast(self, other.dtype)


def _cast(x: Casts, dtype: DTypeLike) -> Tensor:
    return _ops.cast(cast("Tensor", x), as_dtype(dtype))
