"""Cases at special values: 0, infinities, NaN, ties and bounds, up to second derivatives, against PyTorch's values.

PyTorch's values are in `special_values.json`, written by `tools/special_values.py`, which also says where the correct
value differs, and why. Each array in the file is one line of values. For a row of the op table the keys are

    value       the results for all operands in `OPERANDS`
    x           the gradient of operand x, if that of the result is 1
    x at inf    the same if that of the result is infinite; an exact 0 must stay 0 if it is NaN, and all else is NaN
    xy          the gradient for y of the gradient for x

and for a function its value, the gradient of each operand if that of the result is 1, 2, 3, ..., and the gradients of
these gradients, weighted the same way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from importlib.resources import files
from itertools import product
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Backend
from .._batch_norm import batch_norm
from .._conv import conv2d
from .._create import from_numpy, zeros
from .._dtypes import float32, float64
from .._linear import linear
from .._ops import elementwise
from .._optable import OPS, Op
from .._pool import max_pool2d
from .._softmax import cross_entropy, log_softmax, softmax
from .._tensor import Tensor
from ._case import Case
from ._compare import expect_near
from ._draw import Draw

FILE = "special_values.json"
LINE = (-inf, -2.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, inf, nan)
FEW = (-inf, -1.0, 0.0, 1.0, inf, nan)
OPERANDS: dict[int, tuple[tuple[float, ...], ...]] = {
    1: tuple((x,) for x in LINE),
    2: tuple(product(LINE, LINE)),
    3: tuple(product(FEW, FEW, FEW)),
}
RELATIVE = {float64: 1e-12, float32: 4e-6}

_ROWS = ((1, 2, 3), (0, 2, 3), (0, 0, 3), (2, 2, -1), (inf, 0, 3), (inf, -inf, 1), (nan, 0, 3), (nan, nan, 5))
_LOGITS = ((-inf, 1, 2), (2, -inf, -inf), (-inf, -inf, -inf), (inf, 1, 2), (inf, inf, 1), (nan, 1, 2), (1, 1, 1))
_IMAGES = (((1, nan), (nan, 2)), ((-inf, -inf), (-inf, -inf)), ((3, 1), (3, 3)), ((inf, inf), (1, 2)))

# Each with its operands. If PyTorch has no function of that name, `tools/special_values.py` defines it.
FUNCTIONS: dict[str, tuple[Callable[..., Tensor], tuple[Any, ...]]] = {
    "sum": (lambda x: x.sum(1), (_ROWS,)),
    "mean": (lambda x: x.mean(1), (_ROWS,)),
    "prod": (lambda x: x.prod(1), (_ROWS[:5],)),
    "max": (lambda x: x.max(), ((1, 3, 3),)),
    "max of NaN": (lambda x: x.max(), ((nan, 3, nan),)),
    "min": (lambda x: x.min(), ((-inf, 3, -inf),)),
    "max along": (lambda x: x.max(1), (_ROWS,)),
    "min along": (lambda x: x.min(1), (_ROWS,)),
    "cumsum": (lambda x: x.cumsum(1), (_ROWS,)),
    "var": (lambda x: x.var(1), (_ROWS[:4],)),
    "var of one": (lambda x: x.var(1), (((2,), (inf,)),)),
    "norm": (lambda x: (x * x).sum(1).sqrt(), (((0, 0), (3, 4), (inf, 1), (nan, 1)),)),
    "softmax": (lambda x: softmax(x, 1), (_LOGITS,)),
    "log_softmax": (lambda x: log_softmax(x, 1), (_LOGITS,)),
    "cross_entropy": (
        lambda x: cross_entropy(x, from_numpy(np.array([0, 1, 0, 1, 2, 0, 1]), backend=x.backend)),
        (_LOGITS,),
    ),
    "max_pool2d": (lambda x: max_pool2d(x, (2, 2), (2, 2)), ((_IMAGES,),)),
    "linear with relu": (
        lambda x, w, b: linear(x, w, b, activation="relu"),
        (((1, 2), (-1, 1), (nan, 0), (0, 0)), ((1, -1), (2, nan)), (0, 0)),
    ),
    "conv2d with relu": (
        lambda x, w, b: conv2d(x, w, b, padding=((1, 0), (0, 1)), activation="relu"),
        ((((((1, -2, nan), (0, 3, 1))),),), (((((1, -1), (0, 2))),),), (0,)),
    ),
    "batch_norm with relu": (
        lambda x, w, b: batch_norm(x, w, b, activation="relu")[0],
        ((((1, 2), (0, 4)), ((3, -1), (1, 1))), (1, nan), (0, 1)),
    ),
    "relu, then sqrt": (lambda x: x.relu().sqrt(), (LINE,)),
    "maximum, then sqrt": (lambda x: x.maximum(0).sqrt(), (LINE,)),
    "minimum, then its inverse": (lambda x: 1 / x.minimum(0.0), (LINE,)),
    "clip, then log": (lambda x: x.clip(0.0, 1.0).log(), (FEW,)),
    "where, then rsqrt": (lambda x: (x > 0).where(x, 0.0).rsqrt(), (LINE,)),
    "sqrt, then where": (lambda x: (x > 0).where(x.sqrt(), 0.0), (LINE,)),
    "sign, then sqrt": (lambda x: x.sign().sqrt(), (LINE,)),
    "abs, then sqrt": (lambda x: x.abs().sqrt(), (LINE,)),
    "sum of powers": (lambda x: sum((x**k for k in range(1, 4)), x**0), (LINE,)),
}


@cache
def _tables() -> dict[str, dict[str, dict[str, str]]]:
    found: dict[str, dict[str, dict[str, str]]] = json.loads(files(__package__).joinpath(FILE).read_text("utf-8"))
    return found


def expected(table: str, name: str) -> dict[str, str]:
    """The lines of a row or function. Raises AssertionError if there are none."""
    if name not in _tables()[table]:
        raise AssertionError(f"{name} has no special values: run tools/special_values.py, which needs PyTorch")
    return _tables()[table][name]


def operands_of(op: Op) -> list[NDArray[Any]]:
    """The special values for `op`, a float64 array for each operand; a condition is true above 0."""
    return [np.array(column, float64) for column in zip(*OPERANDS[op.arity], strict=True)]


def check_row(op: Op, backend: Backend, draw: Draw) -> None:
    """The value and derivatives of a row of the op table at special values match, in both float dtypes."""
    for dtype in RELATIVE:
        operands = [from_numpy(a.astype(dtype), backend=backend) for a in operands_of(op)]
        if op.name == "where":
            operands[0] = operands[0] > 0
        names = [name for name, grad in zip(op.operands, op.grads, strict=True) if grad is not None]
        leaves = [operands[op.operands.index(name)].requires_grad_() for name in names]
        out, lines = elementwise(op.name, *operands), dict(expected("rows", op.name))
        found = {"value": out}
        for name, grad in zip(names, _gradients(out, leaves, np.array(inf)), strict=True):
            found[f"{name} at inf"] = grad
        for name, grad in zip(names, _gradients(out, leaves, np.array(nan)), strict=True):
            found[f"{name} at NaN"] = grad
            lines[f"{name} at NaN"] = " ".join(
                ["0" if value == "0" else "nan" for value in lines[f"{name} at inf"].split()]
            )
        for name, grad in zip(names, _gradients(out, leaves, np.array(1.0)), strict=True):
            found[name] = grad
            for other, second in zip(names, _gradients(grad, leaves, np.array(1.0)), strict=True):
                found[name + other] = second
        _expect(op.name, found, lines, dtype, size=0)


def check_function(name: str, backend: Backend, draw: Draw) -> None:
    """The value, the derivatives and the fused gradient of one of `FUNCTIONS` match, in both float dtypes."""
    function, operands = FUNCTIONS[name]
    lines = expected("functions", name)
    for dtype in RELATIVE:
        leaves = [from_numpy(np.array(x, dtype), requires_grad=True, backend=backend) for x in operands]
        out = function(*leaves)
        fused = dict(zip("xyz", _gradients(out, leaves, None, create_graph=False), strict=False))
        _expect(f"fused {name}", fused, {symbol: lines[symbol] for symbol in fused}, dtype, out.size)
        found = {"value": out}
        for symbol, grad in zip("xyz", _gradients(out, leaves, None), strict=False):
            found[symbol] = grad
            for other, second in zip("xyz", _gradients(grad, leaves, None), strict=False):
                found[symbol + other] = second
        _expect(name, found, lines, dtype, out.size)


def _gradients(
    out: Tensor, leaves: Sequence[Tensor], weights: NDArray[Any] | None, create_graph: bool = True
) -> list[Tensor]:
    """The gradients for `leaves` of the sum of `out` times the weights, by default 1, 2, 3, ...; 0 if none flows."""
    for leaf in leaves:
        leaf.grad = None
    if out.requires_grad:
        given = np.arange(1.0, out.size + 1).reshape(out.shape) if weights is None else weights
        g = from_numpy(np.array(np.broadcast_to(given, out.shape), out.dtype), backend=out.backend)
        out.backward(g, retain_graph=True, create_graph=create_graph)
    grads = [leaf.grad for leaf in leaves]
    return [
        zeros(leaf.shape, dtype=leaf.dtype, backend=leaf.backend) if grad is None else grad
        for leaf, grad in zip(leaves, grads, strict=True)
    ]


def _expect(name: str, found: dict[str, Tensor], lines: dict[str, str], dtype: np.dtype[Any], size: int) -> None:
    """Each array matches its line, in which a single value stands for all.

    Values may differ by the rounding error of a value larger by `size`; NaN and infinities must match exactly.
    """
    if found.keys() != lines.keys():
        raise AssertionError(f"{name} has {', '.join(found)}: expected {', '.join(lines)}")
    for what, tensor in found.items():
        values = tensor.backend.to_numpy(tensor.data)
        wanted = np.broadcast_to(np.array(lines[what].split(), float64), values.size).reshape(values.shape)
        bound = RELATIVE[dtype] * (size + np.abs(np.nan_to_num(wanted, nan=0.0, posinf=0.0, neginf=0.0)))
        expect_near(f"{name}, {what} in {dtype} on {tensor.backend.name}", values, wanted, bound)


SPECIAL_CASES: tuple[Case, ...] = (
    *(Case(op.name, "special", partial(check_row, op)) for op in OPS.values() if "f" in op.accepts),
    *(Case(name, "special", partial(check_function, name)) for name in FUNCTIONS),
)
