from base64 import b64decode
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad import nn
from stackgrad.mnist import Dataset
from stackgrad.mnist.models import make_model
from stackgrad.mnist.page.answers import answer
from stackgrad.mnist.runs.trace import activations
from stackgrad.mnist.training.evaluate import probabilities
from stackgrad.tensor import Generator, Tensor, set_default_backend


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


def unpacked(images: dict[str, Any]) -> npt.NDArray[np.uint8]:
    shape = images["count"], images["height"], images["width"]
    return np.frombuffer(b64decode(images["pixels"]), np.uint8).reshape(shape)


@pytest.mark.parametrize("name", ["lenet5", "course"])
def test_answer(name: str, mnist: Dataset) -> None:
    model, image = make_model(name, generator=Generator(0)), mnist.test.images[0]
    found = answer(model, image)
    np.testing.assert_array_equal(found["probabilities"], probabilities(model, image[None])[0])
    np.testing.assert_array_equal(unpacked(found["image"]), image[None])
    assert len(found["layers"]) == 2
    for packed, expected in zip(found["layers"], activations(model, image[None]), strict=True):
        levels = unpacked(packed)
        assert levels.shape == expected.shape[1:]
        assert levels.max() == 255
        np.testing.assert_allclose(levels, expected[0] * (255 / expected.max()), atol=0.51)


class Signed(nn.Module):
    """A convolution with negative values, and one whose output is zero."""

    def __init__(self) -> None:
        self.first, self.second = nn.Conv2d(1, 1, 1, generator=Generator(0)), nn.Conv2d(1, 1, 1, generator=Generator(0))
        for parameter, value in zip(self.parameters(), (1.0, 0.0, 0.0, 0.0), strict=True):
            parameter.data[...] = value

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)).flatten(1)


def test_negative_values_and_a_layer_of_zeros(mnist: Dataset) -> None:
    image = mnist.test.images[0]
    found = answer(Signed(), image)  # type: ignore[arg-type]
    first, second = (unpacked(layer) for layer in found["layers"])
    assert (first.min(), first.max()) == (0, 255)
    np.testing.assert_allclose(first[0], image, atol=1)
    assert not second.any()
