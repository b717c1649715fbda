"""Indexing and writes in place."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

import stackgrad.tensor as sg

from .both_sides import both, rows, witness


@witness("negative-steps")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    assert ours[::-1].tolist() == [2.0, 1.0]
    with pytest.raises(ValueError, match="step must be greater than zero"):
        theirs[::-1]


@witness("bool-index")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    assert theirs[True].shape == (1, 2)
    with pytest.raises(IndexError, match="a single bool"):
        ours[True]


@witness("lossy-write")
def _() -> None:
    ours, theirs = both(1, 2)
    theirs[0] = 7.9
    assert theirs[0] == 7
    with pytest.raises(TypeError, match="would lose values"):
        ours[0] = 7.9
    assert theirs.masked_fill(theirs > 0, 1.9).tolist() == [1, 1]
    with pytest.raises(TypeError, match="would lose values"):
        ours.masked_fill(ours > 0, 1.9)


@witness("copies-apart")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    x, part = deepcopy((theirs, theirs[:1]))
    part.zero_()
    assert x.tolist() == [0.0, 2.0]
    x, part = deepcopy((ours, ours[:1]))
    part.zero_()
    assert x.tolist() == [1.0, 2.0]


@witness("list-values")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    ours[:] = [3.0, 4.0]
    assert ours.tolist() == [3.0, 4.0]
    with pytest.raises(TypeError):
        theirs[:] = [3.0, 4.0]


@witness("writes-cast")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    ours[[0]] = sg.tensor([5.0], dtype="float64")
    assert ours.tolist() == [5.0, 2.0]
    with pytest.raises(RuntimeError, match="dtypes match"):
        theirs[[0]] = torch.tensor([5.0], dtype=torch.float64)


@witness("index-of-nothing")
def _() -> None:
    with pytest.raises(IndexError, match="out of range"):
        sg.ones(0, 2)[:, [5]]
    assert torch.ones(0, 2)[:, [5]].shape == (0, 1)


@witness("overlapping-writes")
def _() -> None:
    ours, theirs = both(1.0, 2.0, 3.0)
    ours[1:] = ours[:-1]
    assert ours.tolist() == [1.0, 1.0, 2.0]
    with pytest.raises(RuntimeError, match="single memory location"):
        theirs[1:] = theirs[:-1]


@witness("equal-indices")
def _() -> None:
    found = []
    for lib, w in zip((sg, torch), rows(1.0, 2.0), strict=True):
        x: Any = lib.zeros(2, dtype=lib.float64)
        x[[0, 0]] = w
        x.sum().backward()
        found.append(w.grad.tolist())
    assert found == [[0.0, 1.0], [1.0, 1.0]]


@witness("saved-apart")
def _() -> None:
    ours, theirs = rows(0.0)
    for x in (ours, theirs):
        y = x * 1
        y.exp_()
        y.detach().zero_()
        if x is ours:
            y.sum().backward()
            assert ours.grad.tolist() == [1.0]
            continue
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@witness("read-only-memory")
def _() -> None:
    memory = np.ones(2)
    memory.flags.writeable = False
    ours = sg.from_numpy(memory)
    with pytest.raises(ValueError, match="read-only memory"):
        ours[0] = 5.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns once per process
        torch.from_numpy(memory)[0] = 5.0
    assert memory[0] == 5.0


@witness("deep-views")
def _() -> None:
    ours, theirs = sg.zeros(2), torch.zeros(2)
    x, y = ours, theirs
    for _ in range(201):
        x, y = x[:], y[:]
    with pytest.raises(RuntimeError, match="too many views"):
        x[0] = sg.tensor(1.0, requires_grad=True) * 1
    y[0] = torch.tensor(1.0, requires_grad=True) * 1
    assert theirs.requires_grad
