"""What a model does with images: each function that it applies, in order. A graph of them is what TensorBoard shows."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad import nn
from stackgrad.tensor import Tensor, no_grad, observed

from ..data.datasets import IMAGE_SHAPE
from ..models import Model, normalise

_GOES_ON = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Sigmoid, nn.Tanh)
"""A convolution's output through these is still its own."""


@dataclass(frozen=True)
class Applied:
    """A function that a model applied.

    Attributes:
        name: the function's, or that of an elementwise operation: "Conv2d", "tanh".
        arguments: what it was applied to: tensors and others.
        result: what it gave. It is kept, so that its identity is no other tensor's.
        path: the name, inside the model, of the module that applied it: "features.0"; "" outside of those that have
            no module inside.
        module: that module.
    """

    name: str
    arguments: tuple[Any, ...]
    result: Tensor
    path: str
    module: nn.Module | None


def trace(model: nn.Module, batch: Tensor) -> tuple[Tensor, list[Applied]]:
    """What a model gives for a batch, and each function that it applies, in order. It is left in eval mode."""
    found: list[Applied] = []
    within: tuple[str, nn.Module | None] = ("", None)

    def enter(path: str, module: nn.Module | None) -> None:
        nonlocal within
        within = path, module

    def see(function: type[Any], arguments: tuple[Any, ...], result: Tensor) -> None:
        name = function.__name__
        if name == "Elementwise":
            name, arguments = arguments[0].name, arguments[1:]
        found.append(Applied(name, arguments, result, *within))

    with ExitStack() as watched:
        for path, module in model.named_modules():
            if path and not any(module.children()):
                watched.enter_context(
                    module.register_forward_pre_hook(lambda module, args, path=path: enter(path, module))
                )
                watched.enter_context(module.register_forward_hook(lambda *_: enter("", None)))
        watched.enter_context(observed(see))
        watched.enter_context(no_grad())
        return model.eval()(batch), found


def activations(model: Model, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """The output of each convolution, in the order in which the model calls them.

    A normalisation and an activation that follow as modules belong to the convolution; pooling does not.

    Args:
        model: any module with `nn.Conv2d`s in it. It computes on the backend that it is on, and is left in eval mode.
        images: uint8 (n, 28, 28), n at least 1.

    Returns:
        Arrays float32 (n, channels, height, width), one a convolution.

    Raises:
        ValueError: images of another dtype or shape.
    """
    outputs: list[Tensor] = []
    for one in trace(model, normalise(images, next(model.parameters()).backend))[1]:
        if one.name == "Conv2d":
            outputs.append(one.result)
        elif isinstance(one.module, _GOES_ON) and outputs and any(each is outputs[-1] for each in one.arguments):
            outputs[-1] = one.result
    return [output.numpy().astype(np.float32, copy=True) for output in outputs]


@dataclass(frozen=True)
class Operation:
    """A node of the graph of a model.

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

    It is left in eval mode.
    """
    found: list[Operation] = []
    names: dict[int, str] = {}  # by the identity of a tensor
    taken: Counter[str] = Counter()
    owned = {id(tensor): (name.replace(".", "/"), "Parameter") for name, tensor in model.named_parameters()}
    owned |= {id(tensor): (name.replace(".", "/"), "Buffer") for name, tensor in model.named_buffers()}

    def add(name: str, kind: str, inputs: tuple[str, ...], tensor: Tensor) -> str:
        taken[name] += 1
        name = name if taken[name] == 1 else f"{name}_{taken[name]}"
        found.append(Operation(name, kind, inputs, tensor.shape))
        names[id(tensor)] = name
        return name

    def name_of(tensor: Tensor, scope: str) -> str:
        name, kind = owned.get(id(tensor), (f"{scope}constant", "Constant"))
        return names.get(id(tensor)) or add(name, kind, (), tensor)

    image = normalise(np.zeros((1, *IMAGE_SHAPE), np.uint8), next(model.parameters()).backend)
    add("image", "Input", (), image)
    output, applied = trace(model, image)
    for one in applied:
        scope = f"{one.path.replace('.', '/')}/" if one.path else ""
        inputs = tuple([name_of(each, scope) for each in one.arguments if isinstance(each, Tensor)])
        add(scope + one.name, one.name, inputs, one.result)
    add("answer", "Output", (names[id(output)],), output)
    return found
