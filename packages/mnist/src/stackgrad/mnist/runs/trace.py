"""Trace a model: the functions that it applies, in order, and the graph of them that TensorBoard shows."""

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

_PART_OF_CONV = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Sigmoid, nn.Tanh)
"""The output of a convolution after these modules still counts as its own."""


@dataclass(frozen=True)
class Applied:
    """A function that a model applied.

    Attributes:
        name: the name of the function or of the elementwise primitive: "Conv2d", "tanh".
        arguments: its arguments, tensors and others.
        result: its result. It is kept alive, so that no other tensor gets its id.
        path: the name of the module that applied it: "features.0"; "" if that is not a module without submodules.
        module: that module, or None.
    """

    name: str
    arguments: tuple[Any, ...]
    result: Tensor
    path: str
    module: nn.Module | None


def trace(model: nn.Module, batch: Tensor) -> tuple[Tensor, list[Applied]]:
    """The output of a model for a batch, and the functions that it applies, in order. Leaves it in eval mode."""
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
    """The output of each convolution, in the order of the calls.

    The output includes a normalisation and an activation that follow as modules, but not pooling.

    Args:
        model: any module that contains `nn.Conv2d`s. It computes on its own backend, and is left in eval mode.
        images: uint8 (n, 28, 28), n at least 1.

    Returns:
        Arrays float32 (n, channels, height, width), one per convolution.

    Raises:
        ValueError: the images have another dtype or shape.
    """
    outputs: list[Tensor] = []
    for one in trace(model, normalise(images, next(model.parameters()).backend))[1]:
        if one.name == "Conv2d":
            outputs.append(one.result)
        elif isinstance(one.module, _PART_OF_CONV) and outputs and any(each is outputs[-1] for each in one.arguments):
            outputs[-1] = one.result
    return [output.numpy().astype(np.float32, copy=True) for output in outputs]


@dataclass(frozen=True)
class Operation:
    """A node of the graph of a model.

    Attributes:
        name: the path of its module, and its own name: "features/0/Conv2d".
        kind: the name of the function, or "Input", "Parameter", "Buffer", "Constant", "Output".
        inputs: the names of the nodes whose outputs it takes.
        shape: the shape of its output, for one image.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]


def operations(model: Model) -> list[Operation]:
    """The graph of a model for one image, sorted so that inputs come first. Leaves the model in eval mode."""
    found: list[Operation] = []
    names: dict[int, str] = {}  # of tensors, by id
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
