"""Each optimizer's steps, called and captured, against values of PyTorch 2.13."""

from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn

# The optimizer, its settings, and what five steps make of [1, -2, 3]; in the fourth the rate is halved.
STEPS: list[tuple[str, dict[str, Any], list[float]]] = [
    ("SGD", {"lr": 0.1}, [0.985, -2.13, 3.1]),
    (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
        [0.679066065923, -1.6109990906, 2.03234796214],
    ),
    (
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True, "weight_decay": 0.1},
        [1.08543052393, -1.68879061571, 2.98016927161],
    ),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "dampening": 0.25, "maximize": True}, [1.105859375, -2.00859375, 3.2203125]),
    ("Adam", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6)}, [0.867837913665, -1.93589236467, 2.900332718]),
    (
        "Adam",
        {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6), "weight_decay": 0.1, "maximize": True},
        [1.09538521221, -2.01845362055, 3.0725306085],
    ),
    (
        "AdamW",
        {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.6), "weight_decay": 0.1},
        [0.833054017557, -1.86099885139, 2.78646046767],
    ),
    ("AdamW", {"maximize": True}, [1.00230287402, -2.00157068718, 3.00190500235]),
    ("RMSprop", {}, [0.942726526899, -2.00027905003, 2.96991484977]),
    ("RMSprop", {"lr": 0.1, "alpha": 0.9, "weight_decay": 0.1}, [0.784316804245, -1.93647439457, 2.86221635139]),
    ("RMSprop", {"lr": 0.1, "momentum": 0.9, "eps": 0.001}, [-2.17444445882, 0.0175479175236, 0.340713374477]),
    (
        "RMSprop",
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "maximize": True},
        [2.87855620099, -2.94089109407, 4.99118390887],
    ),
    ("RMSprop", {"lr": 0.1, "centered": True, "alpha": 0.8}, [0.860856732506, -2.01458002784, 2.93420089291]),
    (
        "RMSprop",
        {"lr": 0.1, "centered": True, "momentum": 0.5, "weight_decay": 0.1, "alpha": 0.8},
        [0.573016048127, -1.75416111498, 2.66448990558],
    ),
    ("Adagrad", {}, [0.994221909068, -1.99996542082, 2.99693371771]),
    (
        "Adagrad",
        {"lr": 0.5, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 0.001},
        [0.678465692177, -1.81123274392, 2.68333306352],
    ),
    ("Adagrad", {"lr": 0.5, "maximize": True}, [1.28890454658, -2.00172895875, 3.15331411427]),
]


def learn(
    name: str, settings: dict[str, Any], backend: str, captured: bool = False, dtype: Any = "float64"
) -> sg.Tensor:
    parameter = nn.Parameter(sg.tensor([1.0, -2.0, 3.0], dtype=dtype, backend=backend))
    optimizer = getattr(nn.optim, name)([parameter], **settings)

    def step(gradient: sg.Tensor) -> None:
        parameter.grad = gradient.clone()
        optimizer.step()

    step = sg.capture(step) if captured else step
    for t in range(5):
        if t == 3:
            optimizer.param_groups[0]["lr"] *= 0.5
        gradient = np.array([0.5, -1.0, 2.0]) * (1.5 - t) + np.array([0.1, 0.2, 0.0])
        step(sg.tensor(gradient, dtype=dtype, backend=backend))
    return parameter.detach()


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(("name", "settings", "expected"), STEPS)
def test_steps_equal_pytorch(name: str, settings: dict[str, Any], expected: list[float], backend: str) -> None:
    np.testing.assert_allclose(learn(name, settings, backend).numpy(), expected, rtol=1e-10)
    found = learn(name, settings, backend, dtype="float32").numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(("name", "settings"), [(name, settings) for name, settings, _ in STEPS])
def test_captured_steps_equal_called_steps(name: str, settings: dict[str, Any]) -> None:
    assert learn(name, settings, "cpu", captured=True).tolist() == learn(name, settings, "cpu").tolist()


def test_the_square_of_a_gradient_may_overflow():
    p = nn.Parameter(sg.tensor([0.0]))
    optimizer = nn.SGD([p], lr=0.5, momentum=0.5, dampening=0.5)
    for _ in range(2):
        p.grad = sg.tensor([1e20])
        optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), [-1e20], rtol=1e-6)  # the velocity stays 1e20
