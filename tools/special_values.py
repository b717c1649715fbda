"""Write PyTorch's results at special values, which the cases of `stackgrad.tensor.testing` require of every backend.

    python tools/special_values.py

Needs stackgrad-tensor[testing] and PyTorch (the current file was written with 2.13). Rows of the op table that PyTorch
lacks get their values by definition, and so do results that are NaN in PyTorch because its formulas multiply 0 by
infinity (`_corrected`).
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from stackgrad.tensor import OPS, Op
from stackgrad.tensor.testing import _special

Values = NDArray[Any]
PATH = Path(_special.__file__).with_name(_special.FILE)


def _relu_grad(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What `relu` hands back of x, where y is its result."""
    out: torch.Tensor = torch.ops.aten.threshold_backward(x, y, 0)
    return out


def _where_larger(g: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What `maximum` of x and y hands back of g to x."""
    return torch.where(x == y, g / 2, g).masked_fill(x < y, 0)


ROWS: dict[str, Callable[..., torch.Tensor]] = {
    "relu_grad": _relu_grad,
    "where_larger": _where_larger,
    "normal_cdf": torch.special.ndtr,
    "normal_pdf": lambda x: torch.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "floor_divide": lambda x, y: torch.div(x, y, rounding_mode="floor"),  # has a gradient, unlike torch.floor_divide
}


def _relu(x: torch.Tensor) -> torch.Tensor:
    """relu and its gradient, but without PyTorch's second derivative, whose zeros would be multiplied by NaN."""
    return torch.where(x <= 0, 0.0, x)


def _along_1(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: getattr(torch, name)(x, 1)


FUNCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    **{name: _along_1(name) for name in ("sum", "mean", "cumsum", "softmax", "log_softmax")},
    # torch.prod divides the product by each factor, which gives NaN for infinite factors.
    "prod": lambda x: x[:, 0] * x[:, 1] * x[:, 2],
    "max": torch.max,
    "max of NaN": torch.max,
    "min": torch.min,
    "max along": lambda x: x.max(1).values,
    "min along": lambda x: x.min(1).values,
    "var": lambda x: x.var(1),
    "var of one": lambda x: x.var(1),
    "norm": lambda x: (x * x).sum(1).sqrt(),
    "cross_entropy": lambda x: F.cross_entropy(x, torch.tensor([0, 1, 0, 1, 2, 0, 1]), reduction="none"),
    "max_pool2d": lambda x: F.max_pool2d(x, 2),
    "linear with relu": lambda x, w, b: _relu(F.linear(x, w, b)),
    "conv2d with relu": lambda x, w, b: _relu(F.conv2d(F.pad(x, (0, 1, 1, 0)), w, b)),
    "batch_norm with relu": lambda x, w, b: _relu(F.batch_norm(x, None, None, w, b, training=True)),
    "relu, then sqrt": lambda x: x.relu().sqrt(),
    "maximum, then sqrt": lambda x: x.maximum(torch.zeros_like(x)).sqrt(),
    "minimum, then its inverse": lambda x: 1 / x.minimum(torch.zeros_like(x)),
    "clip, then log": lambda x: x.clip(torch.zeros_like(x), torch.ones_like(x)).log(),
    "where, then rsqrt": lambda x: torch.where(x > 0, x, 0.0).rsqrt(),
    "sqrt, then where": lambda x: torch.where(x > 0, x.sqrt(), 0.0),
    "sign, then sqrt": lambda x: x.sign().sqrt(),
    "abs, then sqrt": lambda x: x.abs().sqrt(),
    "sum of powers": lambda x: x**0 + x**1 + x**2 + x**3,
}


def _gradients(out: torch.Tensor, leaves: Sequence[torch.Tensor], weights: torch.Tensor) -> list[torch.Tensor]:
    found: Sequence[torch.Tensor | None] = [None] * len(leaves)
    if out.requires_grad:
        found = torch.autograd.grad(out, leaves, weights.expand(out.shape), create_graph=True, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in zip(found, leaves, strict=True)]


def _counted(out: torch.Tensor) -> torch.Tensor:
    return torch.arange(1.0, out.numel() + 1, dtype=out.dtype).reshape(out.shape)


def row(op: Op) -> dict[str, torch.Tensor]:
    """The value and the derivatives of a row of the op table."""
    operands = [torch.tensor(a) for a in _special.operands_of(op)]
    if op.name == "where":
        operands[0] = operands[0] > 0
    names = [name for name, grad in zip(op.operands, op.grads, strict=True) if grad is not None]
    leaves = [operands[op.operands.index(name)].requires_grad_() for name in names]
    out = (ROWS.get(op.name) or getattr(torch, op.name))(*operands)
    found = {"value": out}
    infinite, one = torch.tensor(torch.inf, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64)
    found |= zip([f"{name} at inf" for name in names], _gradients(out, leaves, infinite), strict=True)
    for name, grad in zip(names, _gradients(out, leaves, one), strict=True):
        found[name] = grad
        found |= zip([name + other for other in names], _gradients(grad, leaves, one), strict=True)
    return found


def function(name: str) -> dict[str, torch.Tensor]:
    """The value and the derivatives of a function."""
    leaves = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in _special.FUNCTIONS[name][1]]
    out = FUNCTIONS[name](*leaves)
    found = {"value": out}
    for symbol, grad in zip("xyz", _gradients(out, leaves, _counted(out)), strict=False):
        found[symbol] = grad
        seconds = _gradients(grad, leaves, _counted(grad))
        found |= zip([symbol + other for other in "xyz"], seconds, strict=False)
    return found


def _corrected(name: str, what: str, values: Values) -> Values:
    """The values, with corrected second derivatives of powers, which are NaN in PyTorch but 0 by definition.

    PyTorch selects with `where` between 0 and an infinite power or logarithm, and the gradient is 0 times infinity.
    """
    if name != "pow" or what not in ("xx", "xy", "yx", "yy"):
        return values
    x, y = _special.operands_of(OPS["pow"])
    flat = {
        "xx": y == 0,
        "xy": y == 0,
        "yx": (x == 0) & np.isfinite(y) & ((y == 0) | (y >= 1)),
        "yy": (x == 0) & (y >= 0),
    }
    return np.where(flat[what] & np.isnan(values), 0, values)


def _line(values: Values) -> str:
    """The values separated by spaces, or one value if all are the same."""
    words = [repr(v).removesuffix(".0") for v in (values + 0.0).reshape(-1).tolist()]  # + 0 removes the sign of -0
    return words[0] if len(set(words)) == 1 else " ".join(words)


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")  # of the variance of one element
    torch.set_num_threads(1)
    rows = {op.name: row(op) for op in OPS.values() if "f" in op.accepts}
    tables = {"rows": rows, "functions": {name: function(name) for name in _special.FUNCTIONS}}
    lines = {
        table: {
            name: {
                what: _line(_corrected(name, what, tensor.detach().numpy(force=True).astype(np.float64)))
                for what, tensor in found.items()
            }
            for name, found in entries.items()
        }
        for table, entries in tables.items()
    }
    PATH.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
