import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, Dataset, make_model
from stackgrad.mnist.runs.export import ExportError, export_model
from stackgrad.mnist.runs.folder import Run, load_run
from stackgrad.mnist.training.evaluate import probabilities
from stackgrad.tensor import Generator, Tensor, from_numpy, set_default_backend

PATH = Path("model.onnx")


@pytest.fixture(autouse=True)
def _on_numpy() -> None:
    set_default_backend("numpy")


def made_run(model: Any, labels: list[str] | None = None) -> Run:
    """A run with any model."""
    summary = {"model": type(model).__name__, "classes": 10, "test_accuracy": 0.5, "arguments": {"labels": labels}}
    return Run(Path("run"), model.eval(), summary)


def session() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(PATH, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", [*MODELS, "trained"])
def test_the_same_answers(name: str, mnist: Dataset, trained: Path) -> None:
    run = load_run(trained) if name == "trained" else made_run(make_model(name, generator=Generator(1)))
    images = mnist.test.images[:1000]
    for parameter in run.model.parameters():
        if name != "trained":  # larger weights, so that the answers differ more
            parameter.detach().mul_(1.5)
    export_model(run, PATH)
    exported = session()
    (answers,) = exported.run(None, {"images": images})
    expected = probabilities(run.model, images)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-5)
    assert expected.max() > 0.15
    for count in (1, 7):  # any batch size
        (some,) = exported.run(None, {"images": images[:count]})
        np.testing.assert_allclose(some, expected[:count], rtol=0, atol=1e-5)


class Other(nn.Module):
    """Layers that the models do not use: strides, groups, padding of pools, other activations."""

    def __init__(self) -> None:
        generator = Generator(3)
        self.first = nn.Conv2d(1, 4, 3, stride=2, padding=((0, 1), (1, 2)), bias=False, generator=generator)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 6, 3, groups=2, dilation=2, generator=generator)
        self.pools = nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), nn.MaxPool2d(3, stride=2, padding=1))
        self.out = nn.Linear(180, 10, generator=generator)
        self.norm.running_mean.copy_(from_numpy(np.float32([0.1, -0.2, 0.3, 0.0])))
        self.norm.running_var.copy_(from_numpy(np.float32([0.5, 2.0, 1.0, 3.0])))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).tanh()
        x = self.pools(self.second(x).sigmoid() + 1.0)
        return self.out((x * x - x / 2).flatten(1)).exp()


def test_other_layers(mnist: Dataset) -> None:
    model: Any = Other()
    export_model(made_run(model), PATH)
    images = mnist.test.images[:100]
    (answers,) = session().run(None, {"images": images})
    np.testing.assert_allclose(answers, probabilities(model, images), rtol=0, atol=1e-5)


def test_inputs_outputs_and_metadata() -> None:
    export_model(made_run(make_model("course"), labels=["T-shirt/top", "Hose"]), PATH)
    exported = session()
    (given,), (answer,) = exported.get_inputs(), exported.get_outputs()
    assert (given.name, given.type, given.shape) == ("images", "tensor(uint8)", ["n", 28, 28])
    assert (answer.name, answer.type, answer.shape) == ("probabilities", "tensor(float)", ["n", 10])
    metadata = exported.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["labels"])[:3] == ["T-shirt/top", "Hose", "2"]
    assert metadata["test_accuracy"] == "0.5"


class Sorted(nn.Module):
    def __init__(self) -> None:
        self.out = nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x.flatten(1).cumsum(1))


class Mixed(Sorted):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(x.reshape(-1, 784).reshape(784, -1).reshape(-1, 784))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Sorted(), "the model applies CumSum, which export does not support yet"),
        (Mixed(), r"the model reshapes \(3, 784\) to \(784, 3\), which mixes the images of a batch"),
    ],
)
def test_models_that_cannot_be_exported(model: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        export_model(made_run(model), PATH)
    assert not PATH.exists()


def test_without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = r"export needs the package onnx: pip install 'stackgrad-mnist\[export\]'"
    with pytest.raises(ExportError, match=message):
        export_model(made_run(make_model("course")), PATH)
