"""A model as a graph of operations, such as TensorBoard shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from stackgrad.tensor import Node

from .activations import calls_in
from .data import IMAGE_SHAPE
from .models import Model, normalise


@dataclass(frozen=True)
class Operation:
    """A node of the graph.

    Attributes:
        name: the path of the module that it belongs to, and its own: "features/0/Conv2d".
        kind: the name of the differentiable function, or "Parameter", "Input", "Output".
        inputs: the names of the nodes whose outputs it takes.
        shape: of its output, for one image.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]


def operations(model: Model) -> list[Operation]:
    """What the model does with an image, each operation after those whose outputs it takes.

    Read from the record that backward would follow, so it holds what was done, not what a drawing says. The model is
    left in eval mode.
    """
    blank = np.zeros((1, *IMAGE_SHAPE), np.uint8)
    image = normalise(blank, next(model.parameters()).backend).requires_grad_()
    output, calls = calls_in(model.eval(), image)
    scopes: dict[int, str] = {}
    for call in calls:
        inside = set(map(id, _below(call.output.node, call.input.node)))
        scopes |= {one: call.name.replace(".", "/") + "/" for one in inside}

    leaves = {id(parameter): (name.replace(".", "/"), "Parameter") for name, parameter in model.named_parameters()}
    leaves[id(image)] = ("image", "Input")
    names: dict[int, str] = {}
    taken: Counter[str] = Counter()
    found: list[Operation] = []
    shapes = {id(output.node): output.shape}
    for node in _below(output.node, None):
        shapes |= {id(edge): shape for edge, shape in zip(node.edges, node.shapes, strict=True) if edge is not None}
    for node in _below(output.node, None):
        inputs = []
        for edge in node.edges:
            if edge is None:  # a constant, or what takes no part in training
                continue
            if id(edge) not in names:
                names[id(edge)], kind = leaves[id(edge)]
                found.append(Operation(names[id(edge)], kind, (), shapes[id(edge)]))
            inputs.append(names[id(edge)])
        name = scopes.get(id(node), "") + node.name
        taken[name] += 1
        names[id(node)] = name if taken[name] == 1 else f"{name}_{taken[name]}"
        found.append(Operation(names[id(node)], node.name, tuple(inputs), shapes[id(node)]))
    found.append(Operation("answer", "Output", (found[-1].name,), output.shape))
    return found


def _below(node: Node | None, end: Node | None) -> Iterator[Node]:
    """The nodes that lead to `node`, and itself, down to `end` alone; each after those that it takes from."""
    done, stack = {id(end)}, [(node, False)]
    while stack:
        one, ready = stack.pop()
        if not isinstance(one, Node) or (id(one) in done and not ready):
            continue
        if ready:
            yield one
            continue
        done.add(id(one))
        stack.append((one, True))
        stack += [(edge, False) for edge in reversed(one.edges) if isinstance(edge, Node)]
