"""Elementwise operations: every row of the op table, so a new row is a new benchmark."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from stackgrad.tensor import OPS, Op, Tensor, grad

from ._operands import laid_out, normal, uniform
from ._suite import BACKENDS, Work, counted, precompiled, timed
from ._values import LAYOUTS, SHAPES, SIZES

CHOSEN = ("add", "exp", "where")  # two operands, one, three: for all layouts
setup_cache = precompiled(__name__)


def _method(op: Op) -> str:
    return op.name if hasattr(Tensor, op.name) else f"__{op.name}__"


def _work(op: Op, operands: list[Tensor]) -> Work:
    if op.name == "where":  # a method of the condition
        condition = operands[0] if operands[0].dtype == bool else operands[0] > 0
        operands = [condition, *operands[1:]]
    return partial(getattr(operands[0], _method(op)), *operands[1:])


def _of_domain(op: Op, size: str, dtype: str, backend: str) -> list[Tensor]:
    """Operands from the domain in the table, so that no op spends its time on NaN."""
    shape = SHAPES[size]
    if dtype in ("int64", "bool"):
        return [normal(*shape, dtype=dtype, backend=backend, seed=i) for i in range(op.arity)]
    return [uniform(*shape, low=low, high=high, dtype=dtype, backend=backend) for low, high in op.domain]


def _accepting(dtype_kind: str) -> list[str]:
    return [op.name for op in OPS.values() if dtype_kind in op.accepts]


@timed(op=_accepting("f"), size=SIZES, backend=BACKENDS)
def time_float32(op: str, size: str, backend: str) -> Work:
    """An op on contiguous float32."""
    return _work(OPS[op], _of_domain(OPS[op], size, "float32", backend))


@timed(op=_accepting("f"), backend=BACKENDS)
def time_float64(op: str, backend: str) -> Work:
    """An op on 1e6 contiguous float64."""
    return _work(OPS[op], _of_domain(OPS[op], "1e6", "float64", backend))


@timed(op=_accepting("i"), backend=BACKENDS)
def time_int64(op: str, backend: str) -> Work:
    """An op on 1e6 contiguous int64."""
    return _work(OPS[op], _of_domain(OPS[op], "1e6", "int64", backend))


@timed(op=_accepting("b"), backend=BACKENDS)
def time_bool(op: str, backend: str) -> Work:
    """An op on 1e6 contiguous bools."""
    return _work(OPS[op], _of_domain(OPS[op], "1e6", "bool", backend))


@timed(op=CHOSEN, layout=LAYOUTS[1:], size=SIZES, backend=BACKENDS)
def time_layout(op: str, layout: str, size: str, backend: str) -> Work:
    """An op whose first operand is a transposed or an expanded view, the others contiguous."""
    first = laid_out(layout, size, backend)
    others = [normal(*first.shape, backend=backend, seed=i) for i in range(1, OPS[op].arity)]
    return _work(OPS[op], [first, *others])


@counted(op=[op.name for op in OPS.values() if any(op.grads)])
def count_gradient(op: str) -> Work:
    """An op on 1e6 contiguous float32, and its gradients as its row of the table gives them."""
    row = OPS[op]
    operands = _of_domain(row, "1e6", "float32", "cpu")
    wanted = [x.requires_grad_() for x, gradient in zip(operands, row.grads, strict=True) if gradient]
    work: Callable[[], Any] = _work(row, operands)
    g = normal(*SHAPES["1e6"], seed=9)
    return lambda: grad(work(), wanted, g)
