"""What a model's convolutions make of images, to look at."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stackgrad import nn
from stackgrad.tensor import Tensor, no_grad

from ..models import Model, normalise

_GOES_ON = (nn.BatchNorm2d, nn.ReLU, nn.Sigmoid, nn.Tanh)  # a convolution's output through these is still its own


@dataclass(frozen=True)
class Call:
    """One call of a module inside a model, by the module's name there."""

    name: str
    module: nn.Module
    input: Tensor
    output: Tensor


def calls_in(
    model: nn.Module, batch: Tensor, enter: Callable[[str], None] = lambda name: None
) -> tuple[Tensor, list[Call]]:
    """What the model gives for a batch, and the calls of the modules that have no module inside, in their order.

    `enter` is told the name of such a module when it is called, and "" when it is left.
    """
    calls: list[Call] = []

    def left(name: str, module: nn.Module, input: Tensor, output: Tensor) -> None:
        enter("")
        calls.append(Call(name, module, input, output))

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if name and not any(module.children()):
                before = module.register_forward_pre_hook(lambda module, args, name=name: enter(name))
                behind = module.register_forward_hook(
                    lambda module, args, out, name=name: left(name, module, args[0], out)
                )
                hooks.enter_context(before)
                hooks.enter_context(behind)
        return model(batch), calls


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
    with no_grad():
        for call in calls_in(model.eval(), normalise(images, next(model.parameters()).backend))[1]:
            if isinstance(call.module, nn.Conv2d):
                outputs.append(call.output)
            elif isinstance(call.module, _GOES_ON) and outputs and call.input is outputs[-1]:
                outputs[-1] = call.output
    return [output.numpy().astype(np.float32, copy=True) for output in outputs]
