"""Functions that take more than the methods of their names: scalars first, two tensors, two results at once.

The package's `__getattr__` imports them on first use.
"""

from __future__ import annotations

from typing import Unpack

from ._arithmetic import power
from ._functions import mean, of_method, std, var
from ._ops import elementwise
from ._reductions import NumPyNames, numpy_names
from ._rounding import whole
from ._tensor import Tensor
from ._types import Dims, Operand
from ._value import Value

_max, _min = of_method(Tensor.max), of_method(Tensor.min)


def max(input: Tensor, dim: Dims | Tensor = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
    """The largest value over `dim`: `Tensor.max`. For two tensors, the elementwise `maximum`.

    >>> sg.max(tensor([[1, 5], [7, 2]]), 1), sg.max(tensor([1, 5]), tensor([3, 4]))
    (tensor([5, 7]), tensor([3, 5]))
    """
    if isinstance(dim, Value):
        return elementwise("maximum", input, dim)
    return _max(input, dim, keepdim, **names)


def min(input: Tensor, dim: Dims | Tensor = None, keepdim: bool = False, **names: Unpack[NumPyNames]) -> Tensor:
    """The smallest value over `dim`: `Tensor.min`. For two tensors, the elementwise `minimum`.

    >>> sg.min(tensor([[1, 5], [7, 2]]), 1), sg.min(tensor([1, 5]), tensor([3, 4]))
    (tensor([1, 2]), tensor([1, 4]))
    """
    if isinstance(dim, Value):
        return elementwise("minimum", input, dim)
    return _min(input, dim, keepdim, **names)


def pow(input: Operand, exponent: Operand) -> Tensor:
    """`input` ** `exponent`, at least one of them a tensor: `Tensor.pow`.

    >>> sg.pow(2, tensor([1, 2, 3]))
    tensor([2, 4, 8])
    """
    return power("pow", input, exponent)


def remainder(input: Operand, other: Operand) -> Tensor:
    """`input` % `other`, at least one of them a tensor: `Tensor.remainder`.

    >>> remainder(7, tensor([2, 4]))
    tensor([1, 3])
    """
    return whole("remainder", input, other)


def std_mean(
    input: Tensor,
    dim: Dims = None,
    correction: float = 1,
    keepdim: bool = False,
    *,
    unbiased: bool | None = None,
    **names: Unpack[NumPyNames],
) -> tuple[Tensor, Tensor]:
    """`std` and `mean` over `dim`.

    >>> std_mean(tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    if names:
        dim, keepdim = numpy_names("std_mean", dim, keepdim, names)
    return std(input, dim, correction, keepdim, unbiased=unbiased), mean(input, dim, keepdim)


def var_mean(
    input: Tensor,
    dim: Dims = None,
    correction: float = 1,
    keepdim: bool = False,
    *,
    unbiased: bool | None = None,
    **names: Unpack[NumPyNames],
) -> tuple[Tensor, Tensor]:
    """`var` and `mean` over `dim`.

    >>> var_mean(tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    if names:
        dim, keepdim = numpy_names("var_mean", dim, keepdim, names)
    return var(input, dim, correction, keepdim, unbiased=unbiased), mean(input, dim, keepdim)


__all__: list[str] = ["max", "min", "pow", "remainder", "std_mean", "var_mean"]
