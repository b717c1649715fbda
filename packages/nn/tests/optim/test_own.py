"""Custom optimizers with their own `step` and state, as in PyTorch; and closures."""

import re
from pathlib import Path
from typing import Any

import pytest

import stackgrad.tensor as sg
from stackgrad import nn


class Lion(nn.Optimizer):
    """Chen et al., "Symbolic discovery of optimization algorithms", 2023."""

    counts = True

    def __init__(self, params: Any, lr: float = 0.1, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @sg.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "mean" not in state:
                    state["mean"] = p.detach() * 0
                    state["step"] = 0
                if self.counts:
                    state["step"] += 1
                beta1, beta2 = group["betas"]
                moved = state["mean"] * beta1 + p.grad * (1 - beta1)
                p.add_((moved > 0).where(1.0, -1.0), alpha=-group["lr"])
                state["mean"].lerp_(p.grad, 1 - beta2)


class Uncounted(Lion):
    counts = False


def learn(optimizer: nn.Optimizer, x: sg.Tensor) -> None:
    weight = optimizer.params[0]
    optimizer.zero_grad()
    ((weight - x) * (weight - x)).sum().backward()
    optimizer.step()


def weight(backend: str = "numpy") -> nn.Parameter:
    return nn.Parameter(sg.zeros(3, backend=backend))


def test_training_resumes_from_its_saved_state(tmp_path: Path) -> None:
    target = sg.tensor([1.0, -1.0, 0.25])
    first = Lion([weight()])
    for _ in range(2):
        learn(first, target)
    nn.save(tmp_path / "state.safetensors", first.state_dict())
    second = Lion([nn.Parameter(first.params[0].detach().clone())])
    second.load_state_dict(nn.load(tmp_path / "state.safetensors"))
    assert second.state[second.params[0]]["step"] == 2
    for optimizer in (first, second):
        for _ in range(3):
            learn(optimizer, target)
    assert first.params[0].tolist() == second.params[0].tolist() == pytest.approx([0.5, -0.5, 0.3])
    first.load_state_dict(Lion([weight()]).state_dict())
    assert not first.state


def test_capture_records_its_step() -> None:
    def run(captured: bool) -> list[Any]:
        optimizer = Uncounted([weight("cpu")])

        def step(x: sg.Tensor) -> None:
            learn(optimizer, x)

        step = sg.capture(step) if captured else step
        seen = []
        for call in range(6):
            step(sg.tensor([1.0, -1.0, 0.25], backend="cpu"))
            optimizer.param_groups[0]["lr"] = 0.1 if call % 2 else 0.2
            seen.append(optimizer.params[0].tolist())
        return seen

    assert run(captured=True) == run(captured=False)


def test_capture_rejects_what_replays_would_not_do() -> None:
    optimizer = Lion([weight("cpu")])
    step = sg.capture(lambda x: learn(optimizer, x))
    step(sg.ones(3, backend="cpu"))
    with pytest.raises(RuntimeError, match=r"changed optimizer.state\[Parameter\]\['step'\], which a replay"):
        step(sg.ones(3, backend="cpu"))


@pytest.mark.parametrize("own", [3, {0: 3}, {1: {}}, {"0": {}}])
def test_a_mismatched_state(own: Any) -> None:
    optimizer = Lion([weight()])
    with pytest.raises(TypeError, match=re.escape("must be a dict by parameter index")):
        optimizer.load_state_dict({**optimizer.state_dict(), "state": own})


def test_a_closure_computes_loss_and_gradients() -> None:
    own = weight()
    optimizer = nn.SGD([own], 0.5)

    def closure() -> sg.Tensor:
        optimizer.zero_grad()
        loss = ((own - 1) * (own - 1)).sum()
        loss.backward()
        return loss.detach()

    with sg.no_grad():
        losses = [optimizer.step(closure).item() for _ in range(2)]
    assert losses == [3.0, 0.0]
    assert optimizer.step() is None


def test_zero_gradients_in_place() -> None:
    own = weight()
    own.grad = sg.ones(3)
    kept = own.grad
    nn.SGD([own]).zero_grad(set_to_none=False)
    assert own.grad is kept
    assert kept.tolist() == [0.0, 0.0, 0.0]
