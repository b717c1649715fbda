from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, Course, Dataset, LeNet5, make_model, normalise
from stackgrad.mnist.runs.trace import Operation, activations, operations
from stackgrad.mnist.training.evaluate import probabilities
from stackgrad.tensor import Generator, Tensor, set_default_backend


@pytest.fixture
def images(mnist: Dataset) -> npt.NDArray[np.uint8]:
    return mnist.test.images[:3]


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


# Activations


class WithNorm(nn.Module):
    """A normalised convolution, one that is used twice, and one that is defined first but called last."""

    def __init__(self) -> None:
        self.last = nn.Conv2d(2, 3, 3, generator=Generator(2))  # defined first, but called last
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
    set_default_backend("numpy")  # the model's own backend is used
    first, second = activations(model, images)
    x = normalise(images, backend)
    conv1, pool, conv2, _ = model.features.children()
    np.testing.assert_array_equal(first, conv1(x).detach().numpy())
    np.testing.assert_array_equal(second, conv2(pool(conv1(x))).detach().numpy())
    assert (first.shape, second.shape) == ((3, 6, 28, 28), (3, 16, 10, 10))
    assert (first.dtype, first.min()) == (np.float32, 0)


def test_activations_of_course_equal_those_that_it_keeps(images: npt.NDArray[np.uint8]) -> None:
    model = Course()
    first, second = activations(model, images)
    assert model.mid is not None
    assert model.out is not None
    np.testing.assert_array_equal(first, model.mid.numpy())
    np.testing.assert_array_equal(second, model.out.numpy())


def test_order_of_calls_with_normalisation_and_activation(images: npt.NDArray[np.uint8]) -> None:
    model: Any = WithNorm()
    found = activations(model, images)
    x = normalise(images)
    first = model.tanh(model.norm(model.first(x)))
    once = model.twice(model.pool(first))
    for got, expected in zip(found, (first, once, model.twice(once), model.last(model.twice(once))), strict=True):
        np.testing.assert_array_equal(got, expected.detach().numpy())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_activations_do_not_change_the_model(name: str, backend: str, images: npt.NDArray[np.uint8]) -> None:
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
        np.testing.assert_array_equal(array, copy)  # not a view of reused memory


def test_errors_leave_the_model_unchanged() -> None:
    model = make_model("lenet5")
    with pytest.raises(ValueError, match=r"images must be uint8 \(n, 28, 28\), not float64 \(2, 28, 28\)"):
        activations(model, np.zeros((2, 28, 28)))  # type: ignore[arg-type]
    model.classifier = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(ValueError, match="shape"):
        activations(model, np.zeros((2, 28, 28), np.uint8))
    assert not any("forward" in vars(module) for module in model.modules())


# The graph


class Odd(nn.Module):
    """A module that is used twice, an unused one, operations outside modules, a constant, and dropout."""

    def __init__(self) -> None:
        self.unused = nn.Linear(3, 3)
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm2d(1)
        self.inner = nn.Sequential(nn.Linear(784, 5), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.conv(self.conv(self.norm(x))))
        return self.inner((x * 2).flatten(1)).relu()


def test_the_graph_of_course() -> None:
    found = operations(make_model("course"))
    assert [one for one in found if one.kind != "Parameter"] == [
        Operation("image", "Input", (), (1, 1, 28, 28)),
        Operation("conv1/Conv2d", "Conv2d", ("image", "conv1/weight", "conv1/bias"), (1, 4, 28, 28)),
        Operation("conv2/Conv2d", "Conv2d", ("conv1/Conv2d", "conv2/weight", "conv2/bias"), (1, 8, 28, 28)),
        Operation("AvgPool2d", "AvgPool2d", ("conv2/Conv2d",), (1, 8, 7, 7)),
        Operation("Reshape", "Reshape", ("AvgPool2d",), (1, 392)),
        Operation("linear1/Linear", "Linear", ("Reshape", "linear1/weight", "linear1/bias"), (1, 64)),
        Operation("linear2/Linear", "Linear", ("linear1/Linear", "linear2/weight", "linear2/bias"), (1, 10)),
        Operation("LogSoftmax", "LogSoftmax", ("linear2/Linear",), (1, 10)),
        Operation("answer", "Output", ("LogSoftmax",), (1, 10)),
    ]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_the_graph_of_every_model(name: str, backend: str) -> None:
    set_default_backend(backend)
    model = make_model(name)
    found = operations(model)
    known: set[str] = set()
    for one in found:
        assert one.name not in known
        assert known.issuperset(one.inputs)  # inputs come first
        known.add(one.name)
    parameters = {one.name: one.shape for one in found if one.kind == "Parameter"}
    for path, parameter in model.named_parameters():
        assert parameters[path.replace(".", "/")] == parameter.shape
    used = {each for one in found for each in one.inputs}
    assert {one.name for one in found} - used == {"answer"}
    assert found[-1].shape == model(normalise(np.zeros((1, 28, 28), np.uint8))).shape
    assert not any("forward" in vars(module) for module in model.modules())


def test_names_in_the_graph() -> None:
    model: nn.Module = Odd()
    found = operations(model)  # type: ignore[arg-type]
    assert {one.name for one in found if one.kind == "Buffer"} == {"norm/running_mean", "norm/running_var"}
    leaves = ("Parameter", "Buffer", "Constant", "Input")
    edges = {one.name: one.inputs for one in found if one.kind not in leaves and not one.name.startswith("norm/")}
    normalised = edges["conv/Conv2d"][0]
    assert normalised.startswith("norm/")
    assert edges == {
        "conv/Conv2d": (normalised, "conv/weight", "conv/bias"),
        "conv/Conv2d_2": ("conv/Conv2d", "conv/weight", "conv/bias"),
        "mul": ("conv/Conv2d_2", "constant"),
        "Reshape": ("mul",),
        "inner/0/Linear": ("Reshape", "inner/0/weight", "inner/0/bias"),
        "inner/1/tanh": ("inner/0/Linear",),
        "relu": ("inner/1/tanh",),
        "answer": ("relu",),
    }
