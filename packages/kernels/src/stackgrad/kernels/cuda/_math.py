"""The functions that scalar expressions of the op table call inside kernels: `function_of` gives one by name.

On a GPU these are the functions of NVIDIA's libdevice, through `math`. In the simulator they are NumPy's, which return
NaN and infinities where `math` raises, and keep float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from stackgrad.tensor._optable import numpy_function

from .._scalar import scalar_compiler
from ._driver import SIMULATED, inlined


def function_of(name: str) -> Callable[..., Any]:
    """The function that kernels call by that name."""
    if SIMULATED:
        return numpy_function(name)
    return _own.get(name) or getattr(math, name)


_own: dict[str, Callable[..., Any]] = {}
erfc, exp, floor, log, sqrt = map(function_of, ("erfc", "exp", "floor", "log", "sqrt"))


@inlined
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    T = type(x)
    return T(1) / (T(1) + exp(-x))


@inlined
def normal_cdf(x):
    """The probability that a standard normal variable is below x."""
    T = type(x)
    return T(0.5) * erfc(x * T(-math.sqrt(0.5)))


@inlined
def normal_pdf(x):
    """The density of the standard normal distribution."""
    T = type(x)
    return exp(x * x * T(-0.5)) * T(1 / math.sqrt(2 * math.pi))


@inlined
def rint(x):
    """The nearest integer; ties go to the even one."""
    T = type(x)
    below = floor(x)
    rest = x - below
    odd = below - T(2) * floor(below * T(0.5)) != T(0)
    return below + T(1) if rest > T(0.5) or (rest == T(0.5) and odd) else below


_own.update(sigmoid=sigmoid, normal_cdf=normal_cdf, normal_pdf=normal_pdf, rint=rint)


@inlined
def add(total, lost, value):
    """`total` plus `value`, and the rounding error of that, which the next call subtracts from its value.

    W. Kahan, "Further remarks on reducing truncation errors", Communications of the ACM 8 (1965).
    """
    value -= lost
    new = total + value
    lost = (new - total) - value
    return new, lost if lost - lost == type(lost)(0) else type(lost)(0)


compile_scalar = scalar_compiler(function_of, inlined)
