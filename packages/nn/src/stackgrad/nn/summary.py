"""A table of a module's layers: what each of them gives, and how many parameters it has."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .module import Module, _members
from .parameter import Parameter


def summary(module: Module, *inputs: Any) -> str:
    """Calls the module, without a gradient and in evaluation, and tells what its layers did.

    Args:
        module: any; it is left as it was.
        inputs: what it is called with.

    Returns:
        A table as text: a row for each module that has no modules below it, or parameters of its own, with its name and
        class, the shape of its output ("-" where it was not called) and its number of parameters; then their sum, where
        parameters with several names count once.
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
