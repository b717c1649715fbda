"""A model as a graph of operations, such as TensorBoard shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from stackgrad.tensor import Tensor, no_grad, observed

from ..data.datasets import IMAGE_SHAPE
from ..models import Model, normalise
from .activations import calls_in


@dataclass(frozen=True)
class Operation:
    """A node of the graph.

    Attributes:
        name: the path of the module that it belongs to, and its own: "features/0/Conv2d".
        kind: the function that is applied, or "Input", "Parameter", "Buffer", "Constant", "Output".
        inputs: the names of the nodes whose outputs it takes.
        shape: of its output, for one image.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]


def operations(model: Model) -> list[Operation]:
    """What the model does with an image, each operation after those whose outputs it takes.

    The model is called with an image, and what it applies is noted down. It is left in eval mode.
    """
    found: list[Operation] = []
    names: dict[int, str] = {}  # by the identity of a tensor
    alive: list[Tensor] = []  # an identity is one only as long as its tensor lives
    taken: Counter[str] = Counter()
    scope = ""
    owned = {id(tensor): (name.replace(".", "/"), "Parameter") for name, tensor in model.named_parameters()}
    owned |= {id(tensor): (name.replace(".", "/"), "Buffer") for name, tensor in model.named_buffers()}

    def add(name: str, kind: str, inputs: tuple[str, ...], tensor: Tensor) -> str:
        taken[name] += 1
        name = name if taken[name] == 1 else f"{name}_{taken[name]}"
        found.append(Operation(name, kind, inputs, tensor.shape))
        names[id(tensor)] = name
        alive.append(tensor)
        return name

    def name_of(tensor: Tensor) -> str:
        if id(tensor) in names:
            return names[id(tensor)]
        if id(tensor) in owned:
            name, kind = owned[id(tensor)]
            return add(name, kind, (), tensor)
        return add(f"{scope}constant", "Constant", (), tensor)

    def enter(module: str) -> None:
        nonlocal scope
        scope = f"{module.replace('.', '/')}/" if module else ""

    def see(function: type[Any], arguments: tuple[Any, ...], result: Tensor) -> None:
        kind = arguments[0].name if function.__name__ == "Elementwise" else function.__name__
        inputs = tuple([name_of(each) for each in arguments if isinstance(each, Tensor)])
        add(scope + kind, kind, inputs, result)

    image = normalise(np.zeros((1, *IMAGE_SHAPE), np.uint8), next(model.parameters()).backend)
    add("image", "Input", (), image)
    with observed(see), no_grad():
        output, _ = calls_in(model.eval(), image, enter)
    add("answer", "Output", (names[id(output)],), output)
    return found
