"""Elementwise methods of a tensor that are composed of operations of the op table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np

from ._checks import expect_numbers, expect_operands, expect_tensors
from ._dtypes import is_float
from ._errors import not_a_tensor
from ._ops import concatenate, elementwise, expand
from ._shape import broadcast_shapes
from ._types import Operand
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor


class Formulas(Value):
    """Elementwise formulas, whose operands broadcast."""

    __slots__ = ()

    def lerp(self, end: Tensor, weight: Operand) -> Tensor:
        """Linear interpolation: x + weight * (end - x). Raises TypeError for integers.

        >>> tensor([0.0]).lerp(tensor([10.0]), 0.25)
        tensor([2.5])
        """
        x = cast("Tensor", self)
        if not isinstance(end, Value):
            raise not_a_tensor("lerp: end", end)
        if not is_float(x.dtype) or end.dtype != x.dtype:
            raise TypeError(f"lerp of {x.dtype} to {end.dtype}: expected float32 or float64, both the same")
        expect_operands("lerp: weight", weight)
        return x + weight * (end - x)

    def addcmul(self, tensor1: Tensor, tensor2: Operand, *, value: float = 1) -> Tensor:
        """x + value * tensor1 * tensor2.

        >>> tensor([1.0]).addcmul(tensor([2.0]), tensor([3.0]), value=10)
        tensor([61.])
        """
        _expect_terms("addcmul", tensor1, tensor2, value)
        product = tensor1 * tensor2
        return cast("Tensor", self) + (product if value == 1 else product * value)

    def addcdiv(self, tensor1: Tensor, tensor2: Operand, *, value: float = 1) -> Tensor:
        """x + value * tensor1 / tensor2.

        >>> tensor([1.0]).addcdiv(tensor([6.0]), tensor([2.0]), value=10)
        tensor([31.])
        """
        _expect_terms("addcdiv", tensor1, tensor2, value)
        quotient = tensor1 / tensor2
        return cast("Tensor", self) + (quotient if value == 1 else quotient * value)

    def clamp_min(self, min: Operand) -> Tensor:
        """The larger of self and `min`: `clamp` with one bound.

        >>> tensor([-1.0, 9.0]).clamp_min(0)
        tensor([0., 9.])
        """
        return cast("Tensor", self).clamp(min=min)

    def clamp_max(self, max: Operand) -> Tensor:
        """The smaller of self and `max`: `clamp` with one bound.

        >>> tensor([-1.0, 9.0]).clamp_max(1)
        tensor([-1.,  1.])
        """
        return cast("Tensor", self).clamp(max=max)

    def exp2(self) -> Tensor:
        """2 to the power of x.

        >>> tensor([0.0, 3.0]).exp2()
        tensor([1., 8.])
        """
        return elementwise("pow", 2.0, self)

    def logaddexp(self, other: Tensor) -> Tensor:
        """log(exp(x) + exp(other)), without overflow.

        >>> tensor([1000.0]).logaddexp(tensor([1000.0])).round(decimals=2)
        tensor([1000.69])
        """
        expect_tensors("logaddexp", other=other)
        shape = broadcast_shapes(self.shape, other.shape)
        pair = [expand(x, shape).unsqueeze(0) for x in (cast("Tensor", self), other)]
        return concatenate(pair, 0).logsumexp(0)

    def logit(self, eps: float | None = None) -> Tensor:
        """log(x / (1 - x)), the inverse of the sigmoid; with `eps`, x is first clamped to [eps, 1 - eps].

        >>> tensor([0.5]).logit()
        tensor([0.])
        """
        expect_numbers("logit", eps=0.0 if eps is None else eps)
        x = cast("Tensor", self) if eps is None else cast("Tensor", self).clamp(eps, 1 - eps)
        return (x / (1 - x)).log()

    def nan_to_num(self, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
        """Replace NaN by `nan`, and infinities by `posinf` and `neginf`, or the largest and smallest finite values.

        >>> tensor([nan, 1.0, -inf]).nan_to_num(neginf=0.0)
        tensor([0., 1., 0.])
        """
        x = cast("Tensor", self)
        if not is_float(x.dtype):
            return x.clone()
        most = float(np.finfo(x.dtype).max)
        out = elementwise("where", x == x, x, nan)
        out = elementwise("where", x == math.inf, most if posinf is None else posinf, out)
        return elementwise("where", x == -math.inf, -most if neginf is None else neginf, out)


def _expect_terms(what: str, tensor1: Operand, tensor2: Operand, value: float) -> None:
    expect_operands(f"{what}: tensor1", tensor1)
    expect_operands(f"{what}: tensor2", tensor2)
    expect_numbers(what, value=value)
