"""In-place operations: methods with a trailing underscore, operators such as `x += y`, and `x[key] = y`.

As in PyTorch, the result has the tensor's dtype, and an operand broadcasts to its shape. If a gradient flows, the write
is part of the graph; see _writing for the errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from ._arithmetic import times
from ._checks import expect_numbers, expect_operands
from ._dtypes import is_float
from ._operators import OPERANDS
from ._ops import elementwise
from ._random import Generator, default_generator, next_draw, next_normal
from ._reductions import takes_axis
from ._rounding import Rounding
from ._types import Operand
from ._value import Value, Version
from ._writing import adopt, as_before, count_writes, expect_history, expect_writable, write

if TYPE_CHECKING:
    from ._tensor import Tensor


class InPlace(Rounding):
    """The operations of Arithmetic and Rounding, in place. Each returns the tensor itself."""

    __slots__ = ()

    def __setitem__(self, key: Any, value: Any) -> None:
        write(self._tensor, key, value)

    def copy_(self, value: Any) -> Self:
        """Overwrite the elements with `value`, which broadcasts to this shape.

        >>> zeros(2, 2).copy_(tensor([1.0, 2.0]))
        tensor([[1., 2.],
                [1., 2.]])
        """
        if isinstance(value, Value) and value.ndim > self.ndim:
            raise ValueError(f"copy_ of shape {value.shape} to {self.shape}: expected as many dimensions at most")
        write(self._tensor, ..., value)
        return self

    def fill_(self, value: Operand) -> Self:
        """Overwrite every element with one value: a scalar or a tensor without dimensions.

        >>> zeros(2).fill_(7)
        tensor([7., 7.])
        """
        if isinstance(value, Value) and value.ndim:
            raise ValueError(f"fill_ with a tensor of shape {value.shape}: expected no dimensions; use copy_(...)")
        if not isinstance(value, OPERANDS):
            raise TypeError(f"fill_ with {type(value).__name__}: expected one value; use copy_(...)")
        return self.copy_(value)

    def zero_(self) -> Self:
        """Overwrite every element with 0.

        >>> ones(2).zero_()
        tensor([0., 0.])
        """
        return self.copy_(False)

    def fill_diagonal_(self, value: Operand) -> Self:
        """Write one value on the main diagonal, whose elements have equal indices.

        Raises ValueError for fewer than two dimensions, and for more than two of different extents.

        >>> zeros(2, 2).fill_diagonal_(7)
        tensor([[7., 0.],
                [0., 7.]])
        """
        if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
            raise ValueError(f"fill_diagonal_ of shape {self.shape}: expected a matrix, or dimensions of one size")
        write(self._tensor, (np.arange(min(self.shape)),) * self.ndim, value)
        return self

    def add_(self, other: Operand, *, alpha: float = 1) -> Self:
        """Add `other`, times `alpha`.

        >>> tensor([1, 2]).add_(10)
        tensor([11, 12])
        """
        return self._update("add_", lambda x, y: x + times(x, y, alpha), other)

    def sub_(self, other: Operand, *, alpha: float = 1) -> Self:
        """Subtract `other`, times `alpha`.

        >>> tensor([1, 2]).sub_(1)
        tensor([0, 1])
        """
        return self._update("sub_", lambda x, y: x - times(x, y, alpha), other)

    def mul_(self, other: Operand) -> Self:
        """Multiply by `other`.

        >>> tensor([1, 2]).mul_(10)
        tensor([10, 20])
        """
        return self._update("mul_", lambda x, y: x * y, other)

    def div_(self, other: Operand) -> Self:
        """Divide by `other`. Raises TypeError for integers, whose quotients are floats.

        >>> tensor([7.0]).div_(2)
        tensor([3.5])
        """
        return self._update("div_", lambda x, y: x / y, other)

    def pow_(self, exponent: Operand) -> Self:
        """Raise to the power of `exponent`.

        >>> tensor([1, 2, 3]).pow_(2)
        tensor([1, 4, 9])
        """
        return self._update("pow_", lambda x, y: x**y, exponent)

    def lerp_(self, end: Tensor, weight: Operand) -> Self:
        """Interpolate linearly: x + weight * (end - x).

        >>> tensor([0.0]).lerp_(tensor([10.0]), 0.25)
        tensor([2.5])
        """
        _expect_float("lerp_", self)
        for other in (end, weight):
            if isinstance(other, Value) and other.dtype != self.dtype and (other is end or other.ndim):
                raise TypeError(f"lerp_ of {self.dtype} with a tensor of {other.dtype}: expected the same; use .astype")
        return self._update("lerp_", lambda x, y, w: x + w * (y - x), end, weight)

    def clamp_(self, min: Operand | None = None, max: Operand | None = None) -> Self:
        """Replace each element by the nearest value in [min, max]. Raises ValueError without any bound.

        >>> tensor([-1.0, 0.5, 9.0]).clamp_(0, 1)
        tensor([0. , 0.5, 1. ])
        """
        if min is None and max is None:
            raise ValueError("clamp_ without bounds: expected min, max, or both")
        low, high = (-_INFINITE, _INFINITE) if is_float(self.dtype) else (-(2**63), 2**63 - 1)
        bounds = low if min is None else min, high if max is None else max
        return self._update("clamp_", lambda x, y, z: elementwise("clip", x, y, z), *bounds)

    clip_ = clamp_

    def masked_fill_(self, mask: Tensor, value: Operand) -> Self:
        """Write `value`, a scalar or a tensor without dimensions, where `mask`, which broadcasts to this, is true.

        >>> tensor([1.0, 2.0]).masked_fill_(tensor([False, True]), 0)
        tensor([1., 0.])
        """
        return self._update("masked_fill_", lambda x, y: x.masked_fill(mask, y), value)

    @takes_axis
    def scatter_(self, dim: int, index: Tensor, src: Operand | None = None, *, value: Operand | None = None) -> Self:
        """Write the elements of `src`, a tensor or a value, where `gather` would read them: `scatter`.

        >>> zeros(3).scatter_(0, tensor([2, 0]), 1)
        tensor([1., 0., 1.])
        """
        source = src if value is None else value
        if source is None or (src is not None and value is not None):
            raise TypeError("scatter_: expected src, a tensor or a value, or value, and not both")
        return self._update("scatter_", lambda x, y: x.scatter(dim, index, y), source)

    @takes_axis
    def scatter_add_(self, dim: int, index: Tensor, src: Tensor) -> Self:
        """Add the elements of `src` where `gather` would read them: `scatter_add`.

        >>> zeros(3).scatter_add_(0, tensor([2, 2]), tensor([7.0, 8.0]))
        tensor([ 0.,  0., 15.])
        """
        return self._update("scatter_add_", lambda x, y: x.scatter_add(dim, index, y), src)

    @takes_axis
    def index_add_(self, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Self:
        """Add the parts of `source` along `dim` at their indices: `index_add`.

        >>> zeros(3).index_add_(0, tensor([0, 2, 0]), tensor([1.0, 2.0, 3.0]))
        tensor([4., 0., 2.])
        """
        return self._update("index_add_", lambda x, y: x.index_add(dim, index, y, alpha=alpha), source)

    def uniform_(self, a: float = 0, b: float = 1, *, generator: Generator | None = None) -> Self:
        """Write random values, uniform in [a, b). Raises TypeError unless the dtype is float32 or float64.

        >>> zeros(2, 3).uniform_(-1, 1).shape
        (2, 3)
        """
        _expect_float("uniform_", self)
        expect_numbers("uniform_", a=a, b=b)
        draws = self.new(self.backend.uniform(self.shape, self.dtype, next_draw(generator or default_generator())))
        return self.copy_(draws if (a, b) == (0, 1) else draws * (b - a) + a)

    def normal_(self, mean: float = 0, std: float = 1, *, generator: Generator | None = None) -> Self:
        """Write random normal values. Raises TypeError unless the dtype is float32 or float64.

        >>> zeros(2, 3).normal_(std=0.01).shape
        (2, 3)
        """
        _expect_float("normal_", self)
        expect_numbers("normal_", mean=mean, std=std)
        values = next_normal(self.shape, self.dtype, generator or default_generator())
        return self.copy_(self.new(self.backend.from_numpy(values)) * std + mean)

    def neg_(self) -> Self:
        """Change the sign.

        >>> tensor([1, -2]).neg_()
        tensor([-1,  2])
        """
        return self._update("neg_", lambda x: -x)

    def abs_(self) -> Self:
        """Take the absolute value.

        >>> tensor([-1.0, 2.0]).abs_()
        tensor([1., 2.])
        """
        return self._update("abs_", lambda x: x.abs())

    def floor_(self) -> Self:
        """Round down: `floor`.

        >>> tensor([1.8, -1.2]).floor_()
        tensor([ 1., -2.])
        """
        return self._update("floor_", lambda x: x.floor())

    def ceil_(self) -> Self:
        """Round up: `ceil`.

        >>> tensor([1.2, -1.2]).ceil_()
        tensor([ 2., -1.])
        """
        return self._update("ceil_", lambda x: x.ceil())

    def trunc_(self) -> Self:
        """Cut off the fractional part: `trunc`.

        >>> tensor([1.8, -1.8]).trunc_()
        tensor([ 1., -1.])
        """
        return self._update("trunc_", lambda x: x.trunc())

    def round_(self, decimals: int = 0) -> Self:
        """Round to the nearest multiple of 10 ** -decimals: `round`.

        >>> tensor([1.7]).round_()
        tensor([2.])
        """
        return self._update("round_", lambda x: x.round(decimals))

    def remainder_(self, other: Operand) -> Self:
        """Take the remainder of floor division: `remainder`.

        >>> tensor([7, -7]).remainder_(3)
        tensor([1, 2])
        """
        return self._update("remainder_", lambda x, y: x % y, other)

    def floor_divide_(self, other: Operand) -> Self:
        """Divide and round down: `floor_divide`.

        >>> tensor([7, -7]).floor_divide_(2)
        tensor([ 3, -4])
        """
        return self._update("floor_divide_", lambda x, y: x // y, other)

    def exp_(self) -> Self:
        """Take the exponential: `exp`.

        >>> tensor([0.0]).exp_()
        tensor([1.])
        """
        return self._update("exp_", lambda x: x.exp())

    def log_(self) -> Self:
        """Take the natural logarithm: `log`.

        >>> tensor([1.0]).log_()
        tensor([0.])
        """
        return self._update("log_", lambda x: x.log())

    def sqrt_(self) -> Self:
        """Take the square root: `sqrt`.

        >>> tensor([4.0]).sqrt_()
        tensor([2.])
        """
        return self._update("sqrt_", lambda x: x.sqrt())

    def rsqrt_(self) -> Self:
        """Take 1 / sqrt(x): `rsqrt`.

        >>> tensor([4.0]).rsqrt_()
        tensor([0.5])
        """
        return self._update("rsqrt_", lambda x: x.rsqrt())

    def tanh_(self) -> Self:
        """Take the hyperbolic tangent: `tanh`.

        >>> tensor([0.0]).tanh_()
        tensor([0.])
        """
        return self._update("tanh_", lambda x: x.tanh())

    def sigmoid_(self) -> Self:
        """Take the sigmoid: `sigmoid`.

        >>> tensor([0.0]).sigmoid_()
        tensor([0.5])
        """
        return self._update("sigmoid_", lambda x: x.sigmoid())

    def relu_(self) -> Self:
        """Replace negative elements by 0: `relu`.

        >>> tensor([-1.0, 2.0]).relu_()
        tensor([0., 2.])
        """
        return self._update("relu_", lambda x: x.relu())

    # --- operators

    def __iadd__(self, other: Operand) -> Self:  # type: ignore[override]
        return self.add_(other) if isinstance(other, OPERANDS) else NotImplemented

    def __isub__(self, other: Operand) -> Self:  # type: ignore[override]
        return self.sub_(other) if isinstance(other, OPERANDS) else NotImplemented

    def __imul__(self, other: Operand) -> Self:  # type: ignore[override]
        return self.mul_(other) if isinstance(other, OPERANDS) else NotImplemented

    def __itruediv__(self, other: Operand) -> Self:  # type: ignore[override]
        return self.div_(other) if isinstance(other, OPERANDS) else NotImplemented

    def __ifloordiv__(self, other: Operand) -> Self:  # type: ignore[override]
        return self.floor_divide_(other) if isinstance(other, OPERANDS) else NotImplemented

    def __imod__(self, other: Operand) -> Self:  # type: ignore[override]
        return self.remainder_(other) if isinstance(other, OPERANDS) else NotImplemented

    def __ipow__(self, other: Operand) -> Self:  # type: ignore[override]
        return self.pow_(other) if isinstance(other, OPERANDS) else NotImplemented

    def __iand__(self, other: Operand) -> Self:  # type: ignore[override]
        return self._update("&=", lambda x, y: x & y, other) if isinstance(other, OPERANDS) else NotImplemented

    def __ior__(self, other: Operand) -> Self:  # type: ignore[override]
        return self._update("|=", lambda x, y: x | y, other) if isinstance(other, OPERANDS) else NotImplemented

    def __ixor__(self, other: Operand) -> Self:  # type: ignore[override]
        return self._update("^=", lambda x, y: x ^ y, other) if isinstance(other, OPERANDS) else NotImplemented

    # --- implementation

    @property
    def _tensor(self) -> Tensor:
        return cast("Tensor", self)

    def _update(self, what: str, operation: Callable[..., Tensor], *operands: Operand) -> Self:
        """Overwrite this tensor with `operation` of it and `operands`."""
        x = self._tensor
        recorded = expect_history(what, x, *[y for y in operands if isinstance(y, Value)])
        expect_writable(what, x)
        before = as_before(x)
        if recorded:  # backward may need the old values
            before.data, before.version = x.backend.copy(x.data), Version()
        try:
            out = operation(before, *operands)
        except TypeError:
            expect_operands(what, *operands)
            raise
        if out.dtype != x.dtype and not (is_float(out.dtype) and is_float(x.dtype)):
            raise TypeError(
                f"{what} of {x.dtype} gives {out.dtype}, which it cannot hold: do it out of place, or convert with "
                f".astype({out.dtype}) first"
            )
        if out.shape != x.shape:
            raise ValueError(f"{what} of shape {x.shape} gives {out.shape}: operands must broadcast to the tensor")
        out = out.astype(x.dtype)
        x.backend.assign(x.data, out.data)
        count_writes(x)
        if recorded:
            adopt(x, out)
        return self


_INFINITE = float("inf")


def _expect_float(what: str, x: Value) -> None:
    if not is_float(x.dtype):
        raise TypeError(f"{what} of {x.dtype}: expected float32 or float64")
