"""A table of a module's layers with their output shapes and parameter counts."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .module import Module, _members
from .parameter import Parameter


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
    rows = [("layer", "output", "parameters")]
    for name, each in module.named_modules():
        own = [member for _, member in _members(each) if isinstance(member, Parameter)]
        if own or not any(True for _ in each.children()):
            label = f"{name} ({type(each).__name__})" if name else type(each).__name__
            rows.append((label, shapes.get(id(each), "-"), f"{sum(p.size for p in own):,}"))
    trained = sum(p.size for p in module.parameters() if p.requires_grad)
    total = sum(p.size for p in module.parameters())
    rows.append(("total", "", f"{total:,}" if trained == total else f"{total:,} ({trained:,} trained)"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _shape(out: Any) -> str:
    if isinstance(out, Tensor):
        return str(out.shape)
    return f"({', '.join(map(_shape, out))})" if isinstance(out, tuple | list) else "-"
