"""Captured functions with state: a replay does the same as the call would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..case import Shown
from ..draw import Draw
from ..sides import Side, Tensor


def _loss(seed: int, lib: Side, x: Tensor, y: Tensor, states: list[Tensor], weights: list[Tensor]) -> Tensor:
    """The same random expression at each call."""
    draw = Draw("loss", seed)
    out = x
    for w in weights:
        how = draw.choice(("mul", "add", "max", "tanh", "expand", "where"))
        if how == "mul":
            out = out * w
        elif how == "add":
            out = out + w
        elif how == "max":
            out = lib.maximum(out, w.expand(*out.shape))
        elif how == "tanh":
            out = (out * w).tanh()
        elif how == "expand":
            out = out + w.expand(*out.shape).clone()
        else:
            out = lib.where(out > 0, out * w, w)
    if states and draw.chance(0.5):
        out = out + draw.choice(states)
    return ((out.mean() if draw.chance(0.3) else out.sum(0).mean()) - y) ** 2


def steps(draw: Draw, lib: Side, show: Shown) -> None:
    """A function that computes a loss and its gradients, and changes its parameters, state and arguments."""
    seed, width = draw.integer(0, 10**9), draw.integer(1, 3)
    shapes: tuple[tuple[int, ...], ...] = ((), (1,), (width,), (1, width), (1, 1))
    weights = [
        lib.tensor(draw.array(draw.choice(shapes), "float32", laid=False), requires_grad=True)
        for _ in range(draw.integer(1, 2))
    ]
    states = [lib.tensor(draw.array(draw.choice(shapes), "float32", laid=False)) for _ in range(draw.integer(0, 2))]
    grads_by = draw.choice(("none", "zero", "kept"))
    update = draw.choice(("-=", "add_", "copy_", "none"))
    averaged, written, twice = draw.chance(0.4), draw.chance(0.2), draw.chance(0.2)
    given = draw.choice(("loss", "gradient", "state", "several", "weights"))
    captured = draw.chance(0.85)

    def step(x: Tensor, y: Tensor) -> Any:
        for w in weights:
            if grads_by == "none" or w.grad is None:
                w.grad = None
            elif grads_by == "zero":
                w.grad.zero_()
        loss = _loss(seed, lib, x, y, states, weights)
        loss.backward()
        if twice:
            _loss(seed + 1, lib, x, y, states, weights).backward()
        with lib.no_grad():
            for w in weights:
                if w.grad is None:
                    continue
                if update == "-=":
                    w -= 0.1 * w.grad
                elif update == "add_":
                    w.add_(w.grad * -0.1)
                elif update == "copy_":
                    w.copy_(w - 0.1 * w.grad)
            if averaged:
                for state in states:
                    state.mul_(0.9)
                    state.add_(x.mean() * 0.1)
            if written:
                x.mul_(0.5)
        results: dict[str, Callable[[], Any]] = {
            "loss": lambda: loss.detach(),
            "gradient": lambda: weights[0].grad,
            "state": lambda: states[0].clone() if states else x.sum(),
            "several": lambda: (loss.detach(), x.mean(0)),
            "weights": lambda: weights[0].detach().clone(),
        }
        return results[given]()

    run = lib.captured(step) if captured else step
    kept = []
    for call in range(draw.integer(3, 6)):
        rows = 2 if draw.chance(0.85) else draw.integer(0 if given == "several" and draw.chance(0.1) else 1, 4)
        x = lib.tensor(draw.array((rows, width), "float32", laid=False))
        result = run(x, lib.tensor(np.asarray(call, np.float32)))
        for i, found in enumerate(result if isinstance(result, tuple) else (result,)):
            show(f"result {i} of call {call}", lib.array(found))
        kept.append(result[0] if isinstance(result, tuple) else result)
        show(f"x of call {call}", lib.array(x))
        if draw.chance(0.15):
            with lib.no_grad():
                weights[0].mul_(0.5)
        if draw.chance(0.1):
            for w in weights:
                w.grad = None
    if given not in ("gradient",):
        for call, result in enumerate(kept):
            show(f"kept of call {call}", lib.array(result))
    for i, x in enumerate((*weights, *states)):
        show(f"tensor {i}", lib.array(x))
    for i, w in enumerate(weights):
        show(f"gradient {i}", None if w.grad is None else lib.array(w.grad))


FAMILIES = ()
PROGRAMS = (steps,)
