"""Optimizers against plain NumPy in float64, over several steps."""

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.tensor._tape import captured_on
from stackgrad.tensor.types import HostArray as Array

Gradients = list[Array]
STEPS = 4


def sgd(p: Array, gradients: Gradients, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> Array:
    velocity = np.zeros_like(p)
    for gradient in gradients:
        d = gradient + weight_decay * p
        velocity = momentum * velocity + d
        p = p - lr * (d + momentum * velocity if nesterov else velocity)
    return p


def adam(
    p: Array, gradients: Gradients, lr: float, betas: tuple[float, float], eps: float, decay: float, decoupled: bool
) -> Array:
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, gradient in enumerate(gradients, 1):
        d = gradient if decoupled else gradient + decay * p
        if decoupled:
            p = p * (1 - lr * decay)
        m = betas[0] * m + (1 - betas[0]) * d
        v = betas[1] * v + (1 - betas[1]) * d * d
        p = p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return p


def random_steps(seed: int, dtype: Any = np.float64) -> tuple[list[Array], list[Gradients]]:
    """Two parameters of different shapes, and a gradient of each for every step."""
    rng = np.random.default_rng(seed)
    shapes = [(2, 3), (4,)]
    start = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    return start, [[rng.standard_normal(shape).astype(dtype) for _ in range(STEPS)] for shape in shapes]


def run(make: Callable[[list[Any]], nn.Optimizer], start: list[Array], gradients: list[Gradients]) -> list[Array]:
    params = [nn.Parameter(sg.tensor(array)) for array in start]
    optimizer = make(params)
    for step in range(len(gradients[0])):
        for parameter, all_steps in zip(params, gradients, strict=True):
            parameter.grad = sg.tensor(all_steps[step])
        optimizer.step()
    return [parameter.detach().numpy() for parameter in params]


rates = st.floats(1e-4, 1.0)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=50)
@given(seeds, rates, st.sampled_from([0.0, 0.5, 0.9]), st.booleans(), st.sampled_from([0.0, 0.1]))
def test_sgd(seed: int, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> None:
    nesterov = nesterov and momentum > 0
    start, gradients = random_steps(seed)
    found = run(lambda params: nn.SGD(params, lr, momentum, 0.0, weight_decay, nesterov), start, gradients)
    for values, p, g in zip(found, start, gradients, strict=True):
        np.testing.assert_allclose(values, sgd(p, g, lr, momentum, nesterov, weight_decay), rtol=1e-10, atol=1e-12)


@settings(max_examples=50)
@given(
    seeds, rates, st.sampled_from([(0.9, 0.999), (0.0, 0.5), (0.5, 0.9)]), st.sampled_from([0.0, 0.1]), st.booleans()
)
def test_adam_and_adamw(seed: int, lr: float, betas: tuple[float, float], decay: float, decoupled: bool) -> None:
    start, gradients = random_steps(seed)
    make = nn.AdamW if decoupled else nn.Adam
    found = run(lambda params: make(params, lr, betas, 1e-3, decay), start, gradients)
    for values, p, g in zip(found, start, gradients, strict=True):
        np.testing.assert_allclose(values, adam(p, g, lr, betas, 1e-3, decay, decoupled), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize(
    ("make", "reference"),
    [
        (lambda p: nn.SGD(p, 0.1, 0.9), lambda p, g: sgd(p, g, 0.1, 0.9, False, 0.0)),
        (nn.Adam, lambda p, g: adam(p, g, 1e-3, (0.9, 0.999), 1e-8, 0.0, False)),
        (nn.AdamW, lambda p, g: adam(p, g, 1e-3, (0.9, 0.999), 1e-8, 0.01, True)),
    ],
)
def test_defaults_in_float32(make: Any, reference: Any) -> None:
    start, gradients = random_steps(0, np.float32)
    for values, p, g in zip(run(make, start, gradients), start, gradients, strict=True):
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, reference(p, g), rtol=1e-5)


KINDS: list[Callable[[Any], nn.Optimizer]] = [
    lambda params: nn.SGD(params, 0.1),
    lambda params: nn.SGD(params, 0.1, 0.9, nesterov=True, weight_decay=0.1),
    lambda params: nn.SGD(params, 0.1, 0.9, dampening=0.5),
    nn.Adam,
    nn.AdamW,
    lambda params: nn.AdamW(params, amsgrad=True, maximize=True),
    nn.RMSprop,
    lambda params: nn.RMSprop(params, momentum=0.9, centered=True, weight_decay=0.1),
    lambda params: nn.Adagrad(params, lr_decay=0.1, initial_accumulator_value=0.5),
]


@pytest.mark.parametrize("make", KINDS)
def test_a_parameter_without_a_gradient_is_skipped(make: Callable[[Any], nn.Optimizer]) -> None:
    """Later it continues as if its own steps were the only ones: Adam's correction counts them."""
    (start, _), (gradients, _) = random_steps(1)
    expected = run(make, [start], [gradients])[0]
    always, sometimes = nn.Parameter(sg.tensor(start)), nn.Parameter(sg.tensor(start))
    optimizer = make([always, sometimes])
    remaining = list(gradients)
    for step in range(2 * STEPS):
        always.grad = sg.tensor(gradients[step % STEPS])
        sometimes.grad = sg.tensor(remaining.pop(0)) if step % 2 else None
        before = sometimes.tolist()
        optimizer.step()
        assert (sometimes.tolist() == before) == (step % 2 == 0)
        if step == STEPS - 1:
            np.testing.assert_array_equal(always.detach().numpy(), expected)
    np.testing.assert_array_equal(sometimes.detach().numpy(), expected)


@pytest.mark.parametrize("make", KINDS)
def test_training_resumes_from_a_state(make: Callable[[Any], nn.Optimizer]) -> None:
    start, gradients = random_steps(2)
    expected = run(make, start, gradients)
    first = [nn.Parameter(sg.tensor(array)) for array in start]
    optimizer = make(first)
    for step in range(STEPS):
        if step == 2:
            state = copy.deepcopy({key: value for key, value in optimizer.state_dict().items() if key != "tensors"})
            state["tensors"] = {name: t.clone() for name, t in optimizer.state_dict()["tensors"].items()}
            second = [nn.Parameter(parameter.detach().clone()) for parameter in first]
            optimizer = make(second)
            optimizer.lr = 123.0
            optimizer.load_state_dict(state)
            first = second
        for parameter, all_steps in zip(first, gradients, strict=True):
            parameter.grad = sg.tensor(all_steps[step])
        optimizer.step()
    for parameter, values in zip(first, expected, strict=True):
        np.testing.assert_array_equal(parameter.detach().numpy(), values)


def test_the_entries_of_the_state() -> None:
    parameter = nn.Parameter(sg.ones(2))
    optimizer = nn.SGD([parameter], lr=0.5, momentum=0.9)
    settings = {"lr": 0.5, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "maximize": False}
    assert optimizer.state_dict() == {
        "param_groups": [{**settings, "initial_lr": 0.5, "params": [0]}],
        "steps": [0],
        "tensors": {},
    }
    parameter.grad = sg.ones(2)
    optimizer.step()
    state = optimizer.state_dict()
    assert state["steps"] == [1]
    assert {name: tensor.tolist() for name, tensor in state["tensors"].items()} == {"velocity.0": [1.0, 1.0]}


def test_set_the_learning_rate() -> None:
    parameter = nn.Parameter(sg.zeros(1))
    optimizer = nn.SGD([parameter], lr=1.0)
    optimizer.lr = 0.25
    parameter.grad = sg.ones(1)
    optimizer.step()
    assert parameter.tolist() == [-0.25]
    with pytest.raises(ValueError, match="lr must be a finite number, not negative; got -1"):
        optimizer.lr = -1


def test_zero_grad_sets_gradients_to_none() -> None:
    parameter = nn.Parameter(sg.ones(2))
    parameter.sum().backward()
    assert parameter.grad is not None
    nn.SGD([parameter], lr=1.0).zero_grad()
    assert parameter.grad is None


def test_backward_detects_a_step_after_forward() -> None:
    parameter = nn.Parameter(sg.ones(2))
    loss = (parameter * parameter).sum()
    parameter.grad = sg.ones(2)
    nn.SGD([parameter], lr=1.0).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_repr() -> None:
    assert repr(nn.SGD([nn.Parameter(sg.ones(2))], 0.1)) == (
        "SGD(1 parameters, lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False)"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: nn.SGD(p, lr=-0.1), "lr must be a finite number, not negative; got -0.1"),
        (lambda p: nn.SGD(p, lr=float("nan")), "lr must be a finite number, not negative; got nan"),
        (lambda p: nn.SGD(p, 0.1, momentum=-1), "momentum must be a finite number, not negative; got -1"),
        (lambda p: nn.SGD(p, 0.1, weight_decay=-1), "weight_decay must be a finite number, not negative; got -1"),
        (
            lambda p: nn.SGD(p, 0.1, nesterov=True),
            "nesterov needs a momentum above 0 and no dampening; got 0.0 and 0.0",
        ),
        (lambda p: nn.Adam(p, betas=(0.9, 1.0)), "betas must be at least 0 and below 1; got (0.9, 1.0)"),
        (lambda p: nn.SGD(p, 0.1, 0.9, 0.5, nesterov=True), "above 0 and no dampening; got 0.9 and 0.5"),
        (lambda p: nn.RMSprop(p, alpha=1.5), "alpha must be at most 1; got 1.5"),
        (lambda p: nn.Adagrad(p, lr_decay=-1), "lr_decay must be a finite number, not negative; got -1"),
        (lambda p: nn.AdamW(p, eps=-1e-8), "eps must be a finite number, not negative; got -1e-08"),
        (lambda p: nn.SGD([], 0.1), "needs at least one parameter; got none"),
        (lambda p: nn.SGD([*p, *p], 0.1), "a parameter was given twice"),
        (lambda p: nn.SGD([p[0] * 2], 0.1), "must be a leaf, not computed from other tensors; its shape is (2,)"),
    ],
)
def test_errors(make: Callable[[list[nn.Parameter]], Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make([nn.Parameter(sg.ones(2))])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda p: nn.SGD([np.ones(2)], 0.1),
            "parameter 0: got a NumPy array, expected a tensor; use tensor",
        ),
        (lambda p: nn.SGD(p[0], 0.1), "takes several parameters, such as model.parameters(); got Parameter"),
        (lambda p: nn.SGD(nn.Linear(1, 1), 0.1), "several parameters, such as model.parameters(); got Linear"),
        (lambda p: nn.Adam(nn.Linear(1, 1).named_parameters()), "parameter 0: got tuple, expected a tensor"),
        (lambda p: nn.SGD([sg.tensor([1])], 0.1), "parameter 0 must have dtype float32 or float64; got int64"),
        (lambda p: nn.SGD(p, "0.1"), "lr must be a number; got str"),
        (lambda p: nn.SGD(p, 0.1).load_state_dict(None), "must map names to values; got NoneType"),  # type: ignore
        (lambda p: nn.SGD(p, 0.1, True), "momentum must be a number; got bool"),
        (lambda p: nn.SGD(p, 0.1, 0.9, nesterov=1), "nesterov must be True or False; got 1"),
        (lambda p: nn.Adam(p, betas=(0.9, None)), "beta2 must be a number; got NoneType"),
    ],
)
def test_type_errors(make: Callable[[list[nn.Parameter]], Any], message: str) -> None:
    with pytest.raises(TypeError, match=re.escape(message)):
        make([nn.Parameter(sg.ones(2))])


@pytest.mark.parametrize("make", KINDS)
def test_a_frozen_parameter_is_skipped(make: Callable[[Any], nn.Optimizer]) -> None:
    frozen, later, free = (nn.Parameter(sg.ones(2)) for _ in range(3))
    optimizer = make([frozen.requires_grad_(False), later, free])
    for step in range(3):
        optimizer.zero_grad()
        ((frozen + later + free) * (frozen + later + free)).sum().backward()
        optimizer.step()
        if step == 0:
            kept = later.requires_grad_(False).tolist()
    assert frozen.tolist() == [1.0, 1.0]
    assert later.tolist() == kept != [1.0, 1.0]
    assert optimizer.steps == [0, 1, 3]
    frozen.requires_grad_()
    (frozen * 2).sum().backward()
    optimizer.step()
    assert frozen.tolist() != [1.0, 1.0]


def group(**settings: Any) -> dict[str, Any]:
    """A state's entry for the one group, with these settings."""
    usual = {"lr": 0.1, "initial_lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0, "nesterov": True}
    return {"param_groups": [{**usual, "maximize": False, "params": [0], **settings}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [1, 2]}, "the state has 2 parameters; this has 1"),
        (
            {"param_groups": [{"lr": 1.0}]},
            "parameter group 0 of a state of SGD has the keys ['dampening', 'initial_lr', 'lr', 'maximize', "
            "'momentum', 'nesterov', 'params', 'weight_decay']; got ['lr']",
        ),
        ({"param_groups": []}, "the state has 0 parameter groups; this has 1"),
        (group(params=[0, 1]), "parameter group 0 of a state has the parameters [0, 1]; this has [0]"),
        ({"tensors": {"velocity.7": sg.ones(2)}}, "'velocity.7' is not named slot.index, with index below 1"),
        ({"tensors": {"velocity": sg.ones(2)}}, "state tensor 'velocity' is not named slot.index"),
        ({"tensors": {"velocity.0": sg.ones(3)}}, "state tensor 'velocity.0' has shape (3,); the parameter has (2,)"),
        ({"more": 1}, "keys ['param_groups', 'steps', 'tensors']; got ['more', 'param_groups', 'steps', 'tensors']"),
        (group(lr=float("nan")), "lr must be a finite number, not negative; got nan"),
        (group(lr=1.0, weight_decay=-1.0), "weight_decay must be a finite number"),
        (group(initial_lr=-1.0), "initial_lr must be a finite number, not negative; got -1.0"),
        (group(lr=1.0, momentum=0.0), "nesterov needs a momentum above 0"),
        ({**group(lr=1.0), "steps": [-1]}, "a step of a state must not be negative; got -1"),
    ],
)
def test_a_mismatched_state_changes_nothing(change: dict[str, Any], message: str) -> None:
    unchanged_by(change, ValueError, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param_groups": [[1.0]]}, "parameter group 0 of a state of SGD must map names to values; got list"),
        ({"param_groups": 1}, "the param_groups of a state must be a list of dicts; got int"),
        (group(lr="0.1"), "lr must be a number; got str"),
        (group(lr=1.0, momentum=None), "momentum must be a number; got NoneType"),
        (group(lr=1.0, nesterov="yes"), "nesterov must be True or False; got 'yes'"),
        ({"steps": 3}, "the steps of a state must be a list of ints; got int"),
        ({"steps": [3.0]}, "a step of a state must be an int; got float"),
        ({**group(lr=1.0), "tensors": [sg.ones(2)]}, "must be a dict by name; got list"),
        (
            {**group(lr=1.0), "tensors": {"velocity.0": 1}},
            "state tensor 'velocity.0': got",
        ),
    ],
)
def test_a_state_of_wrong_types_changes_nothing(change: dict[str, Any], message: str) -> None:
    unchanged_by(change, TypeError, message)


def unchanged_by(change: dict[str, Any], error: type[Exception], message: str) -> None:
    parameter = nn.Parameter(sg.ones(2))
    optimizer = nn.SGD([parameter], 0.1, momentum=0.9, nesterov=True)
    schedule = nn.Cosine(optimizer, 10)
    parameter.grad = sg.ones(2)
    optimizer.step()
    schedule.step()
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(error, match=re.escape(message)):
        optimizer.load_state_dict({**before, **change})
    after = optimizer.state_dict()
    assert {**after, "tensors": after["tensors"]["velocity.0"].tolist()} == {
        **before,
        "tensors": before["tensors"]["velocity.0"].tolist(),
    }


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam, nn.AdamW, nn.RMSprop, nn.Adagrad])
def test_loading_a_state_checks_each_setting(make: Any) -> None:
    optimizer = make([nn.Parameter(sg.ones(2))], lr=0.1)
    state = optimizer.state_dict()
    (settings,) = state["param_groups"]
    for name in settings.keys() - {"params"}:
        for wrong in (-1.0, float("nan"), float("inf"), "1", None, [1.0], sg.ones(1)):
            with pytest.raises((TypeError, ValueError), match=name):
                optimizer.load_state_dict({**state, "param_groups": [{**settings, name: wrong}]})
            assert optimizer.state_dict() == state


def test_entries_missing_from_a_state_start_at_zero() -> None:
    """As in a new optimizer, but in the memory that a captured step writes to."""
    parameter = nn.Parameter(sg.ones(2))
    optimizer = nn.SGD([parameter], 0.1, momentum=0.9)
    fresh = optimizer.state_dict()
    parameter.grad = sg.ones(2)
    optimizer.step()
    velocity = optimizer.slots["velocity"][0]
    optimizer.load_state_dict(fresh)
    assert optimizer.slots["velocity"][0] is velocity
    assert velocity.tolist() == [0.0, 0.0]
    assert optimizer.steps == [0]


class _Recording(sg.NumpyBackend):
    """Claims to support capture, and records nothing."""

    name = "recording"
    captures = True


class _Row(sg.Launches):
    def add(self, *launch: object) -> None:
        pass

    def __call__(self) -> None:
        pass


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam, nn.AdamW, nn.RMSprop, nn.Adagrad])
def test_launches_before_and_in_a_step_stay_in_order(make: Callable[..., nn.Optimizer]) -> None:
    backend = _Recording()
    parameter = nn.Parameter(sg.ones(2, backend=backend))
    optimizer = make([parameter], lr=0.1)
    parameter.grad = sg.ones(2, backend=backend)
    optimizer.step()  # which creates the state
    tape, row = sg.Tape(), _Row()
    tape.append(row)
    with captured_on(tape):
        optimizer.step()
    assert tape[-1] is row
    assert len(tape) == 3  # counts the steps, writes the coefficients, launches
