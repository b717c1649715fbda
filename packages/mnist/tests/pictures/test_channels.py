from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, Dataset, Split, make_model
from stackgrad.mnist.pictures import channels
from stackgrad.mnist.runs.trace import activations
from stackgrad.tensor import Generator, Tensor, no_grad, set_default_backend

from .conftest import pixels, shown

DIGITS = [str(digit) for digit in range(10)]


class Wide(nn.Module):
    """A model with as many channels as larger models, and one layer whose output is 0."""

    def __init__(self) -> None:
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(32, 48, 3), nn.ReLU(), nn.Conv2d(48, 2, 1)
        )
        with no_grad():
            self.layers[2].bias.add_(-1e6)  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


def cells(canvas: npt.NDArray[Any], tops: list[int], lefts: list[int], side: int) -> list[npt.NDArray[Any]]:
    return [canvas[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)]


def test_one_of_each() -> None:
    labels = np.array([3, 3, 1, 7, 1, 9, 5], np.uint8)
    assert channels.one_of_each(labels, 5).tolist() == [2, 0, 6, 3, 5]
    assert channels.one_of_each(labels, 9).tolist() == [2, 0, 6, 3, 5]
    assert labels[channels.one_of_each(labels, 3)].tolist() == [1, 5, 9]
    assert channels.one_of_each(np.array([4], np.uint8), 6).tolist() == [0]


def test_course_shows_every_channel_beside_its_input(mnist: Dataset, drawn: Any) -> None:
    model = make_model("course", generator=Generator(0))
    picture = channels.draw(shown(model=model, test=mnist.test, names=DIGITS))
    axes = drawn.figure.axes
    chosen = [int(np.flatnonzero(mnist.test.labels == digit)[0]) for digit in (0, 2, 4, 5, 7, 9)]
    arrays = activations(model, mnist.test.images[chosen])
    inputs, first, second = (one.images[0].get_array().filled(np.nan) for one in axes)
    for row, index in enumerate(chosen):
        np.testing.assert_array_equal(inputs[row * 68 : row * 68 + 56 : 2, :56:2], mnist.test.images[index])
        for canvas, array in zip((first, second), arrays, strict=True):
            for c in range(array.shape[1]):
                cell = canvas[row * 68 : row * 68 + 56, c * 60 : c * 60 + 56]
                np.testing.assert_array_equal(cell[::2, ::2], array[row, c])
    assert [one.get_title(loc="left") for one in axes] == [
        "input",
        "convolution 1: 4 channels",
        "convolution 2: 8 channels",
    ]
    assert [text.get_text() for text in axes[0].texts] == ["0", "2", "4", "5", "7", "9"]
    assert picture.title == "What two convolutions make of 0, 2, 4, 5, 7 and 9"
    zeros = [f"{(array == 0).mean():.0%} after convolution {n}" for n, array in enumerate(arrays, start=1)]
    assert f"Zeros: {' and '.join(zeros)}." in picture.description


@pytest.mark.parametrize("name", MODELS)
def test_all_channels_of_every_model(name: str, mnist: Dataset, drawn: Any) -> None:
    model = make_model(name, generator=Generator(0))
    picture = channels.draw(shown(model=model, test=mnist.test, names=DIGITS))
    width, height = pixels(picture)
    assert width == 1440
    assert height < 1300
    counts = [array.shape[1] for array in activations(model, mnist.test.images[:1])[:2]]
    for axes, count in zip(drawn.figure.axes[1:], counts, strict=True):
        seen = ~np.isnan(axes.images[0].get_array().filled(np.nan))
        images = len(drawn.figure.axes[0].texts)
        assert seen.sum() == images * count * 56 * 56
        box = axes.get_position()
        assert 0 < box.x0 < box.x1 < 1
        assert 0 < box.y0 < box.y1 < 0.9  # below the title


def test_many_channels_and_a_layer_of_zeros(mnist: Dataset, drawn: Any) -> None:
    picture = channels.draw(shown(model=Wide(), test=mnist.test, names=DIGITS))
    assert "(32 and 48 channels)" in picture.description
    assert "100% after convolution 2." in picture.description
    assert pixels(picture)[0] == 1440


def test_a_single_image(mnist: Dataset, drawn: Any) -> None:
    one = Split(mnist.test.images[:1], mnist.test.labels[:1])
    picture = channels.draw(shown(model=make_model("lenet5"), test=one, names=DIGITS))
    assert picture.title == "What two convolutions make of 7"
