"""Layers, optimizers and schedules in a captured function, whose replays equal calls."""

from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest

import stackgrad.tensor as sg
from stackgrad import nn

from .captured_programs import Program

CALLS = 6


class Standardise(nn.Module):
    """Normalises with running statistics that forward assigns."""

    def __init__(self) -> None:
        self.mean = nn.Buffer(sg.zeros(3, backend="cpu"))
        self.count = nn.Buffer(sg.zeros(dtype=sg.int64, backend="cpu"))
        self.scale = nn.Parameter(sg.ones(3, backend="cpu"))

    def forward(self, input: sg.Tensor) -> sg.Tensor:
        before = self.mean
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * input.detach().mean(0)  # type: ignore[assignment]
            self.count += 1
        return (input - self.mean) * self.scale + before


def run(begin: Callable[[], tuple[Callable[..., Any], Callable[[], Any]]], captured: bool) -> list[Any]:
    """The result of each call of a function, called or captured, and the state visible after it."""
    function, look = begin()
    function = sg.capture(function) if captured else function
    seen = []
    for call in range(CALLS):
        out = function(sg.randn(4, 3, generator=sg.Generator(call), backend="cpu"))
        seen.append((out.tolist(), look()))
    return seen


def model(seed: int = 0) -> nn.Sequential:
    generator = sg.Generator(seed)
    return nn.Sequential(
        nn.Linear(3, 5, generator=generator),
        nn.BatchNorm1d(5),
        nn.Dropout(0.2, generator=generator),
        nn.Linear(5, 2, generator=generator),
    ).to("cpu")


MAKERS: list[Callable[[Any], nn.Optimizer]] = [
    lambda params: nn.SGD(params, 0.1, momentum=0.9),
    lambda params: nn.Adam(params, 0.1),
    lambda params: nn.AdamW(params, 0.1, amsgrad=True),
    lambda params: nn.SGD(params, 0.1, momentum=0.9, dampening=0.5, maximize=True),
    lambda params: nn.RMSprop(params, 0.01, weight_decay=0.1, momentum=0.5, centered=True),
    lambda params: nn.Adagrad(params, 0.1, lr_decay=0.5),
]
SCHEDULES: list[Callable[[nn.Optimizer], nn.Schedule]] = [
    lambda o: nn.OneCycle(o, 0.2, CALLS),
    lambda o: nn.Cosine(o, CALLS),
    lambda o: nn.StepDecay(o, 2),
    nn.Constant,
    lambda o: nn.optim.lr_scheduler.ExponentialLR(o, 0.5),
    lambda o: nn.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 2, 2),
    lambda o: nn.optim.lr_scheduler.MultiStepLR(o, [1, 3]),
    lambda o: nn.optim.lr_scheduler.LambdaLR(o, lambda step: 1 / (1 + step)),
]


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("make_schedule", SCHEDULES)
@pytest.mark.parametrize("make", MAKERS)
def test_a_schedule_advances_in_replays(make: Any, make_schedule: Any, inside: bool) -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        net = model()
        optimizer = make(net.parameters())
        schedule = make_schedule(optimizer)

        def step(x: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            loss = (net(x) * net(x)).mean()
            loss.backward()
            optimizer.step()
            if inside:
                schedule.step()
            return loss.detach()

        def look() -> Any:
            seen = schedule.steps, optimizer.lr, optimizer.steps[0], [p.tolist() for p in net.parameters()]
            if not inside:
                schedule.step()
            return seen

        return step, look

    called = run(begin, captured=False)
    assert run(begin, captured=True) == called
    rates = [look[1] for _, look in called]
    assert len(set(rates)) > 1 or make_schedule is nn.Constant


def test_a_step_reads_the_rate_of_the_schedule_before_it() -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        weight = nn.Parameter(sg.ones(3, backend="cpu"))
        optimizer = nn.SGD([weight], 1.0)
        schedule = nn.StepDecay(optimizer, 1, 0.5)

        def step(x: sg.Tensor) -> sg.Tensor:
            for _ in range(2):
                schedule.step()
                optimizer.zero_grad()
                (weight * x).sum().backward()
                optimizer.step()
            return weight.detach().clone()

        return step, lambda: (schedule.steps, optimizer.lr)

    assert run(begin, captured=True) == run(begin, captured=False)


class Kit:
    """The objects that a step uses."""

    def __init__(self) -> None:
        self.weight = nn.Parameter(sg.ones(3, backend="cpu"))
        self.optimizer = nn.SGD([self.weight], 1.0, momentum=0.5)
        self.schedule = nn.StepDecay(self.optimizer, 1, 0.5)
        self.generator = sg.Generator(3)
        self.net = nn.Dropout(0.0)
        self.count = 0

    def train(self) -> None:
        self.optimizer.zero_grad()
        (self.weight * 2.0).sum().backward()
        self.optimizer.step()

    def draw(self) -> None:
        sg.rand(2, generator=self.generator)

    def advance(self) -> None:
        self.schedule.step()

    def switch(self) -> None:
        self.net.train(not self.net.training)

    def tick(self) -> None:
        sg.each_time(self._tick)

    def _tick(self) -> None:
        self.count += 1

    def halve(self) -> None:
        self.optimizer.lr *= 0.5

    def set(self) -> None:
        self.optimizer.lr = 0.25

    def other_momentum(self) -> None:
        self.optimizer.momentum += 1.0

    def other_seed(self) -> None:
        self.generator.seed += 1


READ: list[tuple[Callable[[Kit], float], Callable[[Kit], None]]] = [
    (lambda kit: kit.optimizer.lr, Kit.advance),
    (lambda kit: kit.optimizer.lr, Kit.halve),
    (lambda kit: kit.optimizer.lr, Kit.set),
    (lambda kit: kit.optimizer.initial_lr, Kit.halve),
    (lambda kit: kit.optimizer.steps[0], Kit.train),
    (lambda kit: kit.schedule.steps, Kit.advance),
    (lambda kit: kit.generator.call, Kit.draw),
    (lambda kit: 2.0 if kit.net.training else 3.0, Kit.switch),
    (lambda kit: kit.count, Kit.tick),
]
CASES = [(read, change, when) for read, change in READ for when in ("before", "after", "outside")]
CASES += [
    (lambda kit: kit.optimizer.momentum, Kit.other_momentum, "outside"),
    (lambda kit: kit.generator.seed, Kit.other_seed, "outside"),
]


@pytest.mark.parametrize(("read", "change", "when"), CASES)
def test_python_reads_the_values_that_replays_change(read: Any, change: Any, when: str) -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        kit = Kit()

        def step(x: sg.Tensor) -> sg.Tensor:
            if when == "after":
                change(kit)
            out = x * float(read(kit))
            if when == "before":
                change(kit)
            return out

        def look() -> Any:
            seen = kit.optimizer.lr, list(kit.optimizer.steps), kit.schedule.steps, kit.generator.call, kit.count
            if when == "outside":
                change(kit)
            return seen

        return step, look

    assert run(begin, captured=True) == run(begin, captured=False)


def test_changes_by_replays_do_not_cause_recording() -> None:
    kit, python = Kit(), Mock()

    @sg.capture
    def step(x: sg.Tensor) -> sg.Tensor:
        python()
        for change in (kit.train, kit.draw, kit.advance, kit.tick):
            change()
        return sg.dropout(x, 0.5, kit.generator)

    for call in range(CALLS):
        step(sg.ones(3, backend="cpu"))
        assert kit.schedule.steps == kit.optimizer.steps[0] == kit.count == call + 1
        kit.optimizer.lr = 0.1 * call
        kit.generator.seed = call
        kit.optimizer.momentum = 0.1 + call
    assert python.call_count == 2


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam])
def test_a_captured_optimizer_step_is_recorded_once(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKGRAD_BACKEND", "cpu")  # the backend of a function without arguments
    both = [nn.Linear(3, 2, generator=sg.Generator(0)).to("cpu") for _ in range(2)]
    optimizers = [make(list(layer.parameters()), lr=0.1) for layer in both]
    captured = sg.capture(optimizers[1].step)
    for call in range(40):  # more often than the limit on recordings, which warns
        for layer, step in zip(both, (optimizers[0].step, captured), strict=True):
            layer(sg.randn(4, 3, generator=sg.Generator(call), backend="cpu")).sum().backward()
            step()
            layer.zero_grad()
        assert both[0].weight.tolist() == both[1].weight.tolist()
    assert optimizers[0].steps == optimizers[1].steps == [40, 40]


def test_parameters_with_different_step_counts() -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        a, b = (nn.Parameter(sg.ones(3, backend="cpu")) for _ in range(2))
        optimizer = nn.Adam([a, b], 0.1)
        b.grad = sg.ones(3, backend="cpu")
        optimizer.step()

        def step(x: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            (a * x).sum().backward()
            optimizer.step()
            (b * x).sum().backward()
            optimizer.step()
            return a.detach() + b.detach()

        def look() -> Any:
            seen = list(optimizer.steps), a.tolist(), b.tolist()
            if optimizer.steps == [2, 2]:  # before the call that is recorded
                a.grad = None
                optimizer.step()
            return seen

        return step, look

    assert run(begin, captured=True) == run(begin, captured=False)


@pytest.mark.parametrize("train", [True, False])
def test_replays_update_a_buffer_that_forward_assigns(train: bool) -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        net = Standardise().train(train)

        def step(x: sg.Tensor) -> sg.Tensor:
            return net(net(x)).detach()

        return step, lambda: [tensor.tolist() for tensor in net.state_dict().values()]

    called = run(begin, captured=False)
    assert run(begin, captured=True) == called
    assert (called[0][1] != called[-1][1]) == train


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda net: nn.Buffer(sg.ones(3, backend="cpu")), "was replaced in a captured function"),
        (lambda net: None, "was replaced in a captured function"),
        (lambda net: net.mean * net.scale, r"with a history in a captured function: assign its .detach\(\)"),
        (lambda net: sg.ones(4, backend="cpu"), r"was given shape \(4,\) and float32 in a captured function"),
        (lambda net: net.mean.astype("float64"), r"was given shape \(3,\) and float64 in a captured function"),
    ],
)
def test_capture_rejects_assignments_that_replays_cannot_follow(value: Callable[[Any], Any], message: str) -> None:
    net: Any = Standardise()

    @sg.capture
    def step(x: sg.Tensor) -> sg.Tensor:
        net.mean = value(net) if sg.capturing.tape is not None else net.mean
        return x * 2

    step(sg.ones(3, backend="cpu"))
    with pytest.raises(RuntimeError, match=message):
        step(sg.ones(3, backend="cpu"))


def test_a_captured_function_cannot_replace_a_parameter() -> None:
    net: Any = Standardise()

    @sg.capture
    def step(x: sg.Tensor) -> sg.Tensor:
        net.scale = nn.Parameter(x)
        return x * 2

    step(sg.ones(3, backend="cpu"))
    with pytest.raises(RuntimeError, match=r"Standardise.scale was replaced in a captured function"):
        step(sg.ones(3, backend="cpu"))


@pytest.mark.parametrize("make", MAKERS)
def test_replays_resume_from_a_loaded_state(make: Any) -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        net = model()
        optimizer = make(net.parameters())
        fresh, weights = optimizer.state_dict(), {n: t.clone() for n, t in net.state_dict().items()}
        calls = iter(range(CALLS))

        def step(x: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            loss = (net(x) * net(x)).mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        def look() -> Any:
            seen = [tensor.tolist() for tensor in net.state_dict().values()]
            if next(calls) in (2, 3):
                optimizer.load_state_dict(fresh)
                net.load_state_dict(weights)
            return seen

        return step, look

    assert run(begin, captured=True) == run(begin, captured=False)


def test_parameters_that_stop_stepping_together_after_recording() -> None:
    def begin() -> tuple[Callable[..., Any], Callable[[], Any]]:
        params = [nn.Parameter(sg.ones(3, backend="cpu")) for _ in range(2)]
        optimizer = nn.Adam(params)
        calls = iter(range(CALLS))

        def step(x: sg.Tensor) -> sg.Tensor:
            optimizer.zero_grad()
            (params[0] * params[1] * x.mean(0)).sum().backward()
            optimizer.step()
            return x * 2

        def look() -> Any:
            if next(calls) == 3:
                optimizer.load_state_dict({**optimizer.state_dict(), "steps": [5, 6]})
            return optimizer.steps[:], [p.tolist() for p in params]

        return step, look

    assert run(begin, captured=True) == run(begin, captured=False)


@pytest.fixture
def on_cpu() -> Iterator[None]:
    sg.set_default_backend("cpu")
    yield
    sg.set_default_backend(None)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("seed", range(50))
def test_a_random_program(seed: int) -> None:
    """Called or captured, all visible state after each event is bitwise equal."""
    called, captured = Program(seed, captured=False), Program(seed, captured=True)
    for (name, expected), (_, found) in zip(list(called.run()), captured.run(), strict=True):
        assert found == expected, name
