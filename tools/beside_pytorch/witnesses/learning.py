"""Modules, state, losses, optimizers and schedules."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stackgrad.tensor as sg
from stackgrad import nn

from .both_sides import rows, witness


@witness("one-cycle")
def _() -> None:
    for steps, warmup, expected in ((20, 0.5, 0.04 + 0.96 * 4 / 9), (4, 0.25, 1.0)):
        optimizer = nn.SGD([sg.ones(1, requires_grad=True)], lr=0.1)
        schedule = nn.OneCycle(optimizer, max_lr=1.0, total_steps=steps, warmup=warmup)
        assert schedule.rate(4 if steps == 20 else 0) == pytest.approx(expected)
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1, momentum=0.9)
    with pytest.raises(ZeroDivisionError):
        torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=4, pct_start=0.25)
    cosine = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, total_steps=20, pct_start=0.5)
    for _ in range(4):
        optimizer.step()
        cosine.step()
    assert cosine.get_last_lr()[0] != pytest.approx(0.04 + 0.96 * 4 / 9, rel=0.01)


@witness("schedules-stay")
def _() -> None:
    optimizer = nn.SGD([sg.ones(1, requires_grad=True)], lr=0.1)
    assert nn.Cosine(optimizer, total_steps=4).rate(6) == 0.0
    other = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(other, 4)
    for _ in range(6):
        other.step()
        schedule.step()
    assert schedule.get_last_lr()[0] > 0.01


class _Owner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(1, 1)]


class _TheirOwner(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layers = [torch.nn.Linear(1, 1)]


@witness("owned-tensors")
def _() -> None:
    ours: Any = nn.Linear(1, 1)
    theirs = torch.nn.Linear(1, 1)
    ours.scale = sg.ones(1, requires_grad=True)
    theirs.scale = torch.ones(1, requires_grad=True)
    with pytest.raises(TypeError, match="is not a Parameter"):
        list(ours.parameters())
    assert len(list(theirs.parameters())) == 2


@witness("owned-lists")
def _() -> None:
    assert len(list(_Owner().parameters())) == 2
    assert list(_TheirOwner().parameters()) == []


@witness("buffers-of-leaves")
def _() -> None:
    ours: Any = nn.BatchNorm1d(2)
    theirs = torch.nn.BatchNorm1d(2)
    with pytest.raises(TypeError, match="running_mean"):
        ours.running_mean = sg.zeros(2, requires_grad=True)
    theirs.running_mean = torch.zeros(2, requires_grad=True)
    assert theirs.state_dict()["running_mean"].shape == (2,)


def _tied(lib: Any, module: Any) -> Any:
    """Two layers that share a weight."""
    model = module.Sequential(module.Linear(1, 1, bias=False), module.Linear(1, 1, bias=False))
    model[1].weight = model[0].weight
    return model, {"0.weight": lib.zeros(1, 1), "1.weight": lib.ones(1, 1)}


@witness("tied-states")
def _() -> None:
    model, state = _tied(sg, nn)
    with pytest.raises(ValueError, match="are one tensor"):
        model.load_state_dict(state)
    model.load_state_dict({"0.weight": state["0.weight"]})
    assert model[1].weight.item() == 0.0
    model, state = _tied(torch, torch.nn)
    model.load_state_dict(state)
    assert model[0].weight.item() == 1.0
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({"0.weight": state["0.weight"]})


@witness("whole-loads")
def _() -> None:
    left = []
    for lib, module in ((sg, nn), (torch, torch.nn)):
        model = module.Linear(1, 1)
        with pytest.raises((ValueError, RuntimeError)):
            model.load_state_dict({"weight": lib.full((1, 1), 9.0), "bias": lib.ones(2)})
        left.append(model.weight.item() == 9.0)
    assert left == [False, True]


@witness("files-of-halves")
def _() -> None:
    header = b'{"x":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.safetensors"
        path.write_bytes(struct.pack("<Q", len(header)) + header + np.float16(1.5).tobytes())
        found = nn.load(path)["x"]
    assert (found.dtype, found.tolist()) == (np.float32, [1.5])
    assert torch.tensor([1.5], dtype=torch.float16).dtype == torch.float16


@witness("loss-shapes")
def _() -> None:
    with pytest.raises(ValueError, match="the same shape"):
        nn.mse_loss(sg.ones(2, 3), sg.ones(3))
    with pytest.warns(UserWarning, match="different to the input size"):
        assert torch.nn.functional.mse_loss(torch.ones(2, 3), torch.ones(3)) == 0


@witness("parameters-twice")
def _() -> None:
    ours, theirs = rows(1.0)
    with pytest.raises(ValueError, match="given twice"):
        nn.SGD([ours, ours], lr=0.1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        torch.optim.SGD([theirs, theirs], lr=0.1)


@witness("settings-checked")
def _() -> None:
    ours, theirs = rows(1.0)
    optimizer, other = nn.SGD([ours], lr=1.0), torch.optim.SGD([theirs], lr=1.0)
    with pytest.raises(ValueError, match="lr must be a finite number, not negative"):
        optimizer.param_groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match=r"use optimizer\.add_param_group"):
        optimizer.param_groups[0]["params"] = []
    with pytest.raises(ValueError, match="did you mean 'momentum'"):
        nn.SGD([{"params": [ours], "momentun": 0.9}], lr=1.0)
    other.param_groups[0]["lr"] = -1.0
    other.param_groups[0]["params"] = []
    torch.optim.SGD([{"params": [theirs], "momentun": 0.9}], lr=1.0)


@witness("optimizer-states")
def _() -> None:
    ours, theirs = rows(1.0)
    optimizer, other = nn.Adam([ours]), torch.optim.Adam([theirs])
    ours.grad, theirs.grad = ours.detach() * 2, theirs.detach() * 2
    optimizer.step()
    other.step()
    assert set(optimizer.state_dict()["tensors"]) == {"mean.0", "square.0"}
    assert set(other.state_dict()["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}


@witness("rates-set")
def _() -> None:
    ours, theirs = rows(1.0)
    optimizer = nn.SGD([ours], lr=1.0)
    schedule = nn.StepDecay(optimizer, every=1, factor=0.5)
    schedule.step()
    optimizer.lr = 0.1
    schedule.step()
    assert optimizer.lr == pytest.approx(0.025)  # a quarter of the rate that was set
    other = torch.optim.SGD([theirs], lr=1.0)
    closed = torch.optim.lr_scheduler.LambdaLR(other, lambda step: 0.5**step)
    other.step()
    closed.step()
    other.param_groups[0]["lr"] = 0.1
    closed.step()
    assert other.param_groups[0]["lr"] == 0.25
