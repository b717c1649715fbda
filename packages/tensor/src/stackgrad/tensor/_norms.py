"""The methods of a tensor that compute a root or a logarithm of a sum: std, norm, logsumexp, softmax."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack, cast

from numpy.typing import DTypeLike

from . import _softmax
from ._dtypes import is_float
from ._reductions import NumPyNames, Reductions, numpy_names
from ._types import Dims

if TYPE_CHECKING:
    from ._tensor import Tensor


class Norms(Reductions):
    """Reductions over `dim`. A root has no gradient at 0; it is defined as 0 there."""

    __slots__ = ()

    def std(
        self,
        dim: Dims = None,
        correction: float = 1,
        keepdim: bool = False,
        *,
        unbiased: bool | None = None,
        ddof: float | None = None,
        dtype: DTypeLike | None = None,
        **names: Unpack[NumPyNames],
    ) -> Tensor:
        """The standard deviation over `dim`: the square root of `var`.

        >>> tensor([1.0, 2.0, 3.0]).std()
        tensor(1.)
        """
        return _root(self.var(dim, correction, keepdim, unbiased=unbiased, ddof=ddof, dtype=dtype, **names))

    def norm(
        self,
        p: float | str | None = "fro",
        dim: Dims = None,
        keepdim: bool = False,
        dtype: DTypeLike | None = None,
        **names: Unpack[NumPyNames],
    ) -> Tensor:
        """The vector norm over `dim`: (sum of abs(x) ** p) ** (1 / p); p is 2 for "fro" or None.

        For p = inf or -inf it is the largest or smallest magnitude, for p = 0 the count of nonzero elements. Raises
        TypeError for integers and bools, and ValueError for another p.

        >>> tensor([3.0, 4.0]).norm()
        tensor(5.)
        """
        if names:
            dim, keepdim = numpy_names("norm", dim, keepdim, names)
        x = self._widened(dtype) if dtype is not None else cast("Tensor", self)
        if not is_float(x.dtype):
            raise TypeError(f"norm of {x.dtype}: expected float32 or float64; use .astype(float32)")
        power = 2.0 if p is None or p == "fro" else p
        if not isinstance(power, int | float):
            raise ValueError(f"norm with p {p!r}: expected a number or 'fro'")
        dims = x._dims(dim)
        if power == 2:
            return _root((x * x).sum(dims or None, keepdim)) if dims else x.abs()
        size = x.abs()
        if power == 1:
            return size._reduce("sum", dims, keepdim)
        if math.isinf(power):
            return size._reduce("max" if power > 0 else "min", dims, keepdim)
        if power == 0:
            return (size != 0).astype(x.dtype)._reduce("sum", dims, keepdim)
        zero = size == 0
        powers = zero.where(0.0 if power > 0 else math.inf, zero.where(1.0, size) ** power)
        return _root(powers._reduce("sum", dims, keepdim), power)

    def logsumexp(self, dim: Dims = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
        """log(sum(exp(x))) over `dim`, shifted by the maximum so that nothing overflows; -inf for no elements.

        >>> tensor([1000.0, 1000.0]).logsumexp(0).round(decimals=2)
        tensor(1000.69)
        """
        if names:
            dim, keepdim = numpy_names("logsumexp", dim, keepdim, names)
        x = self if is_float(self.dtype) else self._widened("float32")
        dims = x._dims(dim)
        if not x._count(dims):
            return x._reduce("sum", dims, keepdim).log()
        largest = cast("Tensor", x).detach()._reduce("max", dims, True)
        shift = largest.isfinite().where(largest, 0.0)
        total = (x - shift).exp()._reduce("sum", dims, keepdim).log()
        return total + (shift if keepdim else shift.reshape(total.shape))

    def softmax(self, dim: int | None = None, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """exp(x) over its sum along `dim`: the function `softmax`.

        >>> tensor([0.0, 0.0]).softmax(0)
        tensor([0.5, 0.5])
        """
        return _softmax.softmax(self._widened(dtype) if dtype is not None else cast("Tensor", self), dim, **names)

    def log_softmax(
        self, dim: int | None = None, dtype: DTypeLike | None = None, **names: Unpack[NumPyNames]
    ) -> Tensor:
        """The logarithm of `softmax`: the function `log_softmax`.

        >>> tensor([0.0, 0.0]).log_softmax(0).round(decimals=4)
        tensor([-0.6931, -0.6931])
        """
        return _softmax.log_softmax(self._widened(dtype) if dtype is not None else cast("Tensor", self), dim, **names)


def _root(x: Tensor, power: float = 2) -> Tensor:
    """x ** (1 / power), with a gradient of 0 where that is 0."""
    zero = x == 0 if power > 0 else x == math.inf
    inside = zero.where(1.0, x)
    return zero.where(0.0, inside.sqrt() if power == 2 else inside ** (1 / power))
