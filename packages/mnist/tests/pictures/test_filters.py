from typing import Any

import numpy as np
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, make_model
from stackgrad.mnist.pictures import filters
from stackgrad.tensor import Generator, no_grad, set_default_backend

from .conftest import pixels, shown


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


def test_lenet5_shows_every_weight(drawn: Any) -> None:
    model = make_model("lenet5", generator=Generator(3))
    first, second = (m.weight.detach().numpy() for m in model.modules() if isinstance(m, nn.Conv2d))
    filters.draw(shown(model=model))
    left, right = (axes.images[0].get_array().filled(np.nan) for axes in drawn.figure.axes)
    for i in range(6):
        top, start = i // 3 * 66, i % 3 * 66
        np.testing.assert_array_equal(left[top : top + 60 : 12, start : start + 60 : 12], first[i, 0])
        for j in range(16):  # a row for each input channel, and a column for each output channel
            cell = right[i * 66 : i * 66 + 60, j * 66 : j * 66 + 60]
            np.testing.assert_array_equal(cell[::12, ::12], second[j, i])
    for axes, weights in zip(drawn.figure.axes, (first, second), strict=True):
        low, high = axes.images[0].get_clim()
        assert -low == high == pytest.approx(np.abs(weights).max())  # 0 is in the middle of the colour map


def test_the_title_names_the_channel_with_most_weight(drawn: Any) -> None:
    model = make_model("course", generator=Generator(3))
    with no_grad():
        model.conv2.weight[:, 2] = model.conv2.weight[:, 2] * 20  # type: ignore[union-attr]
    picture = filters.draw(shown(model=model))
    assert picture.title == "Convolution 2 gives most weight to channel 3 of convolution 1"
    frame_left, frame_right = (axes.patches[0] for axes in drawn.figure.axes)
    assert (round(frame_right.get_y() / 66), frame_right.get_height()) == (2, 66)
    assert (round(frame_left.get_x() / 66), round(frame_left.get_y() / 66)) == (0, 1)  # the third in a 2x2 grid


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name: str, drawn: Any) -> None:
    width, height = pixels(filters.draw(shown(model=make_model(name))))
    assert width == 1440
    assert height < 1300
    for axes in drawn.figure.axes:
        box = axes.get_position()
        assert 0 < box.x0 < box.x1 < 1
        assert 0 < box.y0 < box.y1 < 0.9
    assert drawn.figure.axes[0].get_position().x1 < drawn.figure.axes[1].get_position().x0


def test_weights_of_zero(drawn: Any) -> None:
    model = make_model("course")
    for parameter in model.parameters():
        parameter.detach().zero_()
    assert pixels(filters.draw(shown(model=model)))[0] == 1440
