"""What the scalar forms of the op table may call, inside kernels.

On a GPU these are the functions of NVIDIA's libdevice by way of `math`. In the simulator they are NumPy's, which give
NaN and infinities where `math` raises, and leave float32 what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ._driver import SIMULATED, inlined

_NAMES = ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh")


def _erf(x: Any) -> Any:
    return type(x)(math.erf(x))


FUNCTIONS: dict[str, Callable[..., Any]]
if SIMULATED:
    FUNCTIONS = {name: getattr(np, name) for name in _NAMES} | {"erf": _erf}
else:
    FUNCTIONS = {name: getattr(math, name) for name in (*_NAMES, "erf")}

exp, log, sqrt = FUNCTIONS["exp"], FUNCTIONS["log"], FUNCTIONS["sqrt"]


@inlined
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    T = type(x)
    return T(1) / (T(1) + exp(-x))


FUNCTIONS["sigmoid"] = sigmoid


@inlined
def add(total, lost, value):
    """`total` plus `value`, and what rounding took from that, which comes with the next value.

    W. Kahan, "Further remarks on reducing truncation errors", Communications of the ACM 8 (1965).
    """
    value -= lost
    new = total + value
    lost = (new - total) - value
    return new, lost if lost - lost == type(lost)(0) else type(lost)(0)


def compile_scalar(expression: str) -> Any:
    """The function of x, y, z that `expression` of the op table stands for; T is the type of its last operand."""
    namespace: dict[str, Any] = dict(FUNCTIONS)
    exec(f"def scalar(x, y, z):\n    T = type(y)\n    return {expression}\n", namespace)
    return inlined(namespace["scalar"])
