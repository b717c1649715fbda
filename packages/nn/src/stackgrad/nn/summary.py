"""A table of a module's layers with their output shapes and parameter counts."""

from __future__ import annotations

from contextlib import ExitStack
from html import escape
from typing import TYPE_CHECKING, Any

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from ._arguments import expect_module
from ._containers import find_in
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module


def summary(module: Module, *inputs: Any) -> str:
    """Call the module in evaluation mode without gradients, and describe its layers.

    Args:
        module: any module; its mode is restored.
        inputs: the arguments of the call.

    Returns:
        A table as text, with a row for each module without submodules or with own parameters: name and class, shape of
        the output ("-" if it was not called), and parameter count. In the total, the last row, a shared parameter
        counts once.

    >>> print(nn.summary(nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)), ones(1, 2)))
    layer       output  parameters
    ------------------------------
    0 (Linear)  (1, 8)          24
    1 (Tanh)    (1, 8)           0
    2 (Linear)  (1, 1)           9
    ------------------------------
    total                       33
    """
    expect_module("summary", module)
    shapes: dict[int, str] = {}
    training = {each: each.training for each in module.modules()}
    with ExitStack() as hooks, sg.no_grad():
        for each in training:
            hooks.enter_context(
                each.register_forward_hook(lambda each, args, out: shapes.update({id(each): _shape(out)}))
            )
        module.eval()
        try:
            module(*inputs)
        finally:
            for each, mode in training.items():
                each.training = mode
    layers, total = _layers(module)
    labels = [(f"{name} ({type(each).__name__})" if name else type(each).__name__) for name, each, _ in layers]
    rows = [("layer", "output", "parameters")]
    rows += [(label, shapes.get(id(each), "-"), count) for label, (_, each, count) in zip(labels, layers, strict=True)]
    rows.append(("total", "", total))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def html(module: Module) -> str:
    """The table of `summary` for a notebook, with the layers' arguments instead of the outputs, which need a call."""
    layers, total = _layers(module)
    rows = [(name, f"{type(each).__name__}({each.extra_repr()})", count) for name, each, count in layers]
    cells = [("td", row) for row in rows] + [("th", ("total", "", total))]
    lines = ["<table>", "<tr><th>name</th><th>layer</th><th>parameters</th></tr>"]
    lines += [f"<tr>{''.join(f'<{tag}>{escape(text)}</{tag}>' for text in row)}</tr>" for tag, row in cells]
    return "\n".join([*lines, "</table>"])


def _layers(module: Module) -> tuple[list[tuple[str, Module, str]], str]:
    """The rows: name, module and count of parameters, of each without submodules or with own ones; and the total."""
    rows = []
    for name, each in module.named_modules():
        own = [member for _, member in find_in(vars(each).items(), lambda value: isinstance(value, Parameter))]
        if own or not any(True for _ in each.children()):
            rows.append((name, each, f"{sum(p.size for p in own):,}"))
    trained = sum(p.size for p in module.parameters() if p.requires_grad)
    total = sum(p.size for p in module.parameters())
    return rows, f"{total:,}" if trained == total else f"{total:,} ({trained:,} trained)"


def _shape(out: Any) -> str:
    if isinstance(out, Tensor):
        return str(out.shape)
    return f"({', '.join(map(_shape, out))})" if isinstance(out, tuple | list) else "-"
