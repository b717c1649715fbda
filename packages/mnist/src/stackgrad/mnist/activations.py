"""What a model's convolutions make of images, to look at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stackgrad import nn
from stackgrad.tensor import Tensor, no_grad

from .models import Model, normalise

_GOES_ON = (nn.BatchNorm2d, nn.ReLU, nn.Sigmoid, nn.Tanh)  # a convolution's output through these is still its own


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
    batch = normalise(images, next(model.parameters()).backend)
    watched = [module for module in model.eval().modules() if isinstance(module, (nn.Conv2d, *_GOES_ON))]
    outputs: list[Tensor] = []

    def watch(module: nn.Module) -> None:
        def forward(input: Tensor) -> Tensor:
            output = type(module).forward(module, input)
            if isinstance(module, nn.Conv2d):
                outputs.append(output)
            elif outputs and input is outputs[-1]:
                outputs[-1] = output
            return output

        vars(module)["forward"] = forward  # goes before the class's own

    try:
        for module in watched:
            watch(module)
        with no_grad():
            model(batch)
    finally:
        for module in watched:
            vars(module).pop("forward", None)
    return [output.numpy().astype(np.float32, copy=True) for output in outputs]
