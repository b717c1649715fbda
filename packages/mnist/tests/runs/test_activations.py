from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, Course, Dataset, LeNet5, make_model, normalise
from stackgrad.mnist.runs.activations import activations
from stackgrad.mnist.training.evaluate import probabilities
from stackgrad.tensor import Generator, Tensor, set_default_backend


@pytest.fixture
def images(mnist: Dataset) -> npt.NDArray[np.uint8]:
    return mnist.test.images[:3]


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


class WithNorm(nn.Module):
    """Convolutions of which one is normalised, one is used twice, and one stands behind a pool."""

    def __init__(self) -> None:
        self.last = nn.Conv2d(2, 3, 3, generator=Generator(2))  # defined first and called last
        self.first = nn.Conv2d(1, 2, 3, padding=1, generator=Generator(1))
        self.twice = nn.Conv2d(2, 2, 3, padding=1, generator=Generator(3))
        self.norm, self.tanh, self.pool = nn.BatchNorm2d(2), nn.Tanh(), nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.9)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.tanh(self.norm(self.first(x))))
        return self.last(self.dropout(self.twice(self.twice(x))))


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_lenet5(backend: str, images: npt.NDArray[np.uint8]) -> None:
    set_default_backend(backend)
    model = LeNet5(generator=Generator(0))
    set_default_backend("numpy")  # the model's own counts
    first, second = activations(model, images)
    x = normalise(images, backend)
    conv1, pool, conv2, _ = model.features.children()
    np.testing.assert_array_equal(first, conv1(x).detach().numpy())
    np.testing.assert_array_equal(second, conv2(pool(conv1(x))).detach().numpy())
    assert (first.shape, second.shape) == ((3, 6, 28, 28), (3, 16, 10, 10))
    assert (first.dtype, first.min()) == (np.float32, 0)


def test_course_gives_what_the_model_keeps(images: npt.NDArray[np.uint8]) -> None:
    model = Course()
    first, second = activations(model, images)
    assert model.mid is not None
    assert model.out is not None
    np.testing.assert_array_equal(first, model.mid.numpy())
    np.testing.assert_array_equal(second, model.out.numpy())


def test_order_normalisation_and_activation(images: npt.NDArray[np.uint8]) -> None:
    model: Any = WithNorm()
    found = activations(model, images)
    x = normalise(images)
    first = model.tanh(model.norm(model.first(x)))
    once = model.twice(model.pool(first))
    for got, expected in zip(found, (first, once, model.twice(once), model.last(model.twice(once))), strict=True):
        np.testing.assert_array_equal(got, expected.detach().numpy())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_a_look_changes_nothing(name: str, backend: str, images: npt.NDArray[np.uint8]) -> None:
    set_default_backend(backend)
    model = make_model(name, generator=Generator(0)).train()
    before = probabilities(model, images)
    first = activations(model.train(), images)
    kept = [array.copy() for array in first]
    assert all(array.shape[0] == 3 and (array != 0).any() for array in first)
    assert not model.training
    assert not any("forward" in vars(module) for module in model.modules())
    np.testing.assert_array_equal(probabilities(model, images), before)
    for again, array, copy in zip(activations(model, images), first, kept, strict=True):
        np.testing.assert_array_equal(again, copy)
        np.testing.assert_array_equal(array, copy)  # is no view of memory that was used again


def test_wrong_images_leave_the_model_as_it_was() -> None:
    model = make_model("lenet5")
    with pytest.raises(ValueError, match=r"images must be uint8 \(n, 28, 28\), not float64 \(2, 28, 28\)"):
        activations(model, np.zeros((2, 28, 28)))  # type: ignore[arg-type]
    model.classifier = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="shape"):
        activations(model, np.zeros((2, 28, 28), np.uint8))
    assert not any("forward" in vars(module) for module in model.modules())
