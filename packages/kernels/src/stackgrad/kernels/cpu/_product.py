"""Products of floats, in float64, each with its accumulated rounding error.

    x (a, k, b)       COLUMNS columns of b have a running product each
    x (a, k)          each row has COLUMNS running products, of every COLUMNS-th element; they are multiplied by halves

The rounding errors of a product accumulate in any order of multiplication, so pairwise products would not help. The
errors are compensated instead (S. Graillat, "Accurate floating-point product and exponentiation", IEEE Transactions on
Computers 58, 2009).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from stackgrad.tensor._types import HostArray as Array

from ._channels_last import fill_with
from ._kernel import kernel
from ._memory import empty
from ._numba import cgutils, helper, intrinsic, types
from ._parallel import CHUNK
from ._pointers import Memory, load, on_stack, store

COLUMNS = 128


@intrinsic
def _multiply_add(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c of float64, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, function, "llvm.fma.f64"), args)

    return types.float64(types.float64, types.float64, types.float64), codegen


@helper
def _multiply(products, lost, at, value, off):
    """Multiply products[at] by value + off, where `off` is the error of `value`, and update its error lost[at]."""
    product = load(products, at)
    new = product * value
    error = _multiply_add(product, value, -new) + (load(lost, at) * value + product * off)
    store(products, at, new)
    store(lost, at, error if abs(error) < np.inf else 0.0)


@kernel(lambda T: (Memory(T), Memory(T), Memory(types.float64), *[types.intp] * 4))
def _fold(chunk, x, out, like, a, k, b, rows):
    """Multiply COLUMNS columns of x (a, k, b) into out (a, b), or if b is 1, `rows` rows of k elements."""
    element = type(load(x, 0))
    products, lost = on_stack(like, COLUMNS), on_stack(like, COLUMNS)
    if b == 1:
        for row in range(chunk * rows, min(a, (chunk + 1) * rows)):
            fill_with(products, 0, COLUMNS, 1)
            fill_with(lost, 0, COLUMNS, 0)
            for first in range(row * k, (row + 1) * k, COLUMNS):
                for column in range(min(COLUMNS, (row + 1) * k - first)):
                    _multiply(products, lost, column, np.float64(load(x, first + column)), 0.0)
            half = COLUMNS // 2
            while half > 0:
                for column in range(half):
                    _multiply(products, lost, column, load(products, half + column), load(lost, half + column))
                half //= 2
            store(out, row, element(load(products, 0) + load(lost, 0)))
        return
    across = (b + COLUMNS - 1) // COLUMNS
    left = chunk % across * COLUMNS
    start, width = chunk // across * k * b + left, min(COLUMNS, b - left)
    fill_with(products, 0, COLUMNS, 1)
    fill_with(lost, 0, COLUMNS, 0)
    for i in range(start, start + k * b, b):
        for column in range(width):
            _multiply(products, lost, column, np.float64(load(x, i + column)), 0.0)
    for column in range(width):
        store(out, chunk // across * b + left + column, element(load(products, column) + load(lost, column)))


_LIKE = np.empty(0, np.float64)


def products(x: Array, a: int, k: int, b: int) -> Array:
    """The products of the flat x (a, k, b) along k: flat (a, b)."""
    out = empty(a * b, x.dtype)
    rows = max(1, CHUNK // (4 * k)) if b == 1 else 1
    chunks = -(-a // rows) if b == 1 else a * -(-b // COLUMNS)
    _fold[x.dtype](chunks, x.size, (x, out, _LIKE, a, k, b, rows))
    return out
