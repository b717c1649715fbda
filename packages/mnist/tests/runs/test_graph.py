import numpy as np
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, make_model, normalise
from stackgrad.mnist.runs.graph import Operation, operations
from stackgrad.tensor import Tensor, set_default_backend


class Odd(nn.Module):
    """A module that is used twice, one that is not used, operations outside of modules, a constant, dropout."""

    def __init__(self) -> None:
        self.unused = nn.Linear(3, 3)
        self.conv = nn.Conv2d(1, 1, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.norm = nn.BatchNorm2d(1)
        self.inner = nn.Sequential(nn.Linear(784, 5), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.conv(self.conv(self.norm(x))))
        return self.inner((x * 2).flatten(1)).relu()


def test_course() -> None:
    set_default_backend("numpy")
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
def test_every_model(name: str, backend: str) -> None:
    set_default_backend(backend)
    model = make_model(name)
    found = operations(model)
    known: set[str] = set()
    for one in found:
        assert one.name not in known
        assert known.issuperset(one.inputs)  # each after what it takes
        known.add(one.name)
    parameters = {one.name: one.shape for one in found if one.kind == "Parameter"}
    for path, parameter in model.named_parameters():
        assert parameters[path.replace(".", "/")] == parameter.shape
    used = {each for one in found for each in one.inputs}
    assert {one.name for one in found} - used == {"answer"}
    assert found[-1].shape == model(normalise(np.zeros((1, 28, 28), np.uint8))).shape
    assert not any("forward" in vars(module) for module in model.modules())


def test_names_tell_apart() -> None:
    set_default_backend("numpy")
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
