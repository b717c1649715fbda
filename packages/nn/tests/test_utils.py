"""Gradient clipping, against values of PyTorch 2.13."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn

GRADIENTS: list[Any] = [[3.0, -4.0], 2.0, [[1.0, -6.0]]]


def parameters(backend: str = "numpy", dtype: Any = "float32") -> list[nn.Parameter]:
    """A parameter for each of the gradients, and one without a gradient."""
    found = [nn.Parameter(sg.zeros(2).astype(dtype).to(backend)) for _ in range(1)]
    found += [nn.Parameter(sg.zeros(*np.shape(g)).astype(dtype).to(backend)) for g in GRADIENTS[1:]]
    for parameter, gradient in zip(found, GRADIENTS, strict=True):
        parameter.grad = sg.tensor(gradient, dtype=dtype, backend=backend)
    return [*found, nn.Parameter(sg.zeros(3).to(backend))]


def gradients(params: list[nn.Parameter]) -> list[float]:
    return [x for p in params if p.grad is not None for x in p.grad.numpy().ravel().tolist()]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize(
    ("p", "norm", "clipped"),
    [
        (2.0, 8.124039, [0.3692744, -0.4923659, 0.2461829, 0.1230915, -0.7385489]),
        (1, 16.0, [0.1875, -0.25, 0.125, 0.06249999, -0.3749999]),
        (3.0, 6.811285, [0.4404455, -0.5872606, 0.2936303, 0.1468152, -0.8808909]),
        (float("inf"), 6.0, [0.4999999, -0.6666666, 0.3333333, 0.1666666, -0.9999999]),
    ],
)
def test_clip_grad_norm_equals_pytorch(p: float, norm: float, clipped: list[float], backend: str) -> None:
    params = parameters(backend)
    assert nn.utils.clip_grad_norm_(params, 1.0, p).item() == pytest.approx(norm, rel=1e-6)
    assert gradients(params) == pytest.approx(clipped, rel=1e-6)
    params = parameters(backend)
    assert nn.utils.clip_grad_norm_(iter(params), 100, p).item() == pytest.approx(norm, rel=1e-6)
    assert gradients(params) == [3.0, -4.0, 2.0, 1.0, -6.0]


def test_clip_grad_value() -> None:
    params = parameters()
    nn.utils.clip_grad_value_(params, 2.5)
    assert gradients(params) == [2.5, -2.5, 2.0, 1.0, -2.5]
    nn.utils.clip_grad_value_(params[1], 1)
    assert gradients(params) == [2.5, -2.5, 1.0, 1.0, -2.5]


def test_gradients_of_two_dtypes_and_none() -> None:
    single, double = parameters(), parameters(dtype="float64")
    norm = nn.utils.clip_grad_norm_([*single, *double], 1.0)
    assert norm.dtype == sg.float32
    assert norm.item() == pytest.approx(8.124039 * 2**0.5, rel=1e-6)
    assert gradients(single) == pytest.approx(gradients(double), rel=1e-6)
    assert sum(x * x for x in gradients([*single, *double])) == pytest.approx(1, rel=1e-5)
    assert nn.utils.clip_grad_norm_([nn.Parameter(sg.ones(2))], 1.0).item() == 0.0
    empty = nn.Parameter(sg.ones(0))
    empty.grad = sg.ones(0)
    assert nn.utils.clip_grad_norm_(empty, 1.0, float("inf")).item() == 0.0


def test_a_non_finite_norm() -> None:
    for value, rest in ((float("nan"), [float("nan")] * 5), (float("inf"), [0.0, float("nan"), 0.0, 0.0, 0.0])):
        params = parameters()
        params[0].grad = sg.tensor([1.0, value])
        with pytest.raises(RuntimeError, match=f"the norm of the gradients is {value}: a gradient is NaN or infinite"):
            nn.utils.clip_grad_norm_(params, 1.0, error_if_nonfinite=True)
        nn.utils.clip_grad_norm_(params, 1.0)
        np.testing.assert_array_equal(np.abs(gradients(params)), rest)


@pytest.mark.parametrize(
    "clip",
    [
        lambda params: nn.utils.clip_grad_norm_(params, 0.5),
        lambda params: nn.utils.clip_grad_norm_(params, 0.5, float("inf")),
        lambda params: nn.utils.clip_grad_value_(params, 0.01),
    ],
)
def test_clipping_in_a_captured_step(clip: Callable[[Any], Any]) -> None:
    def learn(captured: bool) -> list[Any]:
        generator = sg.Generator(0)
        model = nn.Sequential(nn.Linear(3, 4, generator=generator), nn.Tanh(), nn.Linear(4, 1, generator=generator))
        model.to("cpu")
        optimizer = nn.SGD(model.parameters(), 0.5, momentum=0.9)

        def step(x: sg.Tensor) -> sg.Tensor | None:
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            norm: sg.Tensor | None = clip(model.parameters())
            optimizer.step()
            return norm

        step = sg.capture(step) if captured else step
        norms = [step(sg.randn(4, 3, generator=sg.Generator(t), backend="cpu")) for t in range(5)]
        return [None if norm is None else norm.item() for norm in norms] + [p.tolist() for p in model.parameters()]

    assert learn(captured=True) == learn(captured=False)


@pytest.mark.parametrize(
    ("clip", "error", "message"),
    [
        (lambda p: nn.utils.clip_grad_norm_(p, -1.0), ValueError, "max_norm must be a finite number, not negative"),
        (lambda p: nn.utils.clip_grad_norm_(p, 1.0, 0), ValueError, "norm_type must be above 0; got 0"),
        (lambda p: nn.utils.clip_grad_norm_(p, 1.0, "inf"), TypeError, "norm_type must be a number; got str"),
        (lambda p: nn.utils.clip_grad_norm_([1.0], 1.0), TypeError, "parameter 0: got float, expected a tensor"),
        (lambda p: nn.utils.clip_grad_value_(p, "1"), TypeError, "clip_value must be a number; got str"),
        (lambda p: nn.utils.clip_grad_value_(p, float("nan")), ValueError, "clip_value must be a finite number"),
    ],
)
def test_errors(clip: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    params = parameters()
    with pytest.raises(error, match=re.escape(message)):
        clip(params)
    assert gradients(params) == [3.0, -4.0, 2.0, 1.0, -6.0]


@pytest.mark.parametrize("given", [nn.Linear(1, 1), None])
def test_parameters_are_clipped_not_a_module(given: Any) -> None:
    message = f"gradients of {type(given).__name__}: expected parameters, such as model.parameters"
    for clip in (nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_):
        with pytest.raises(TypeError, match=message):
            clip(given, 1.0)
