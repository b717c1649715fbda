"""A model's answer for the page: the probabilities of the classes, and the channels of the first two convolutions."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models import Model
from ..runs.trace import activations
from ..training.evaluate import probabilities

LAYERS = 2


def answer(model: Model, image: NDArray[np.uint8]) -> dict[str, Any]:
    """The answer of `model` to an image, uint8 (28, 28), ready for JSON.

    Returns:
        probabilities: a float for each class.
        image: the image itself, see below.
        layers: for each of the first two convolutions, its channels, all on the same scale.

        An image, or the images of a layer, is a dict of `count`, `height`, `width`, and `pixels`: a byte for each, in C
        order, as base64. In a layer, 0 is the smallest value, but at most zero, and 255 is the largest.
    """
    layers = activations(model, image[None])[:LAYERS]
    return {
        "probabilities": probabilities(model, image[None])[0].tolist(),
        "image": _packed(image[None]),
        "layers": [_packed(_levels(layer[0])) for layer in layers],
    }


def _levels(channels: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = min(0.0, float(channels.min())), float(channels.max())
    levels: NDArray[np.uint8] = np.rint((channels - low) * (255 / (high - low or 1))).astype(np.uint8)
    return levels


def _packed(images: NDArray[np.uint8]) -> dict[str, Any]:
    count, height, width = images.shape
    return {"count": count, "height": height, "width": width, "pixels": b64encode(images.tobytes()).decode()}
