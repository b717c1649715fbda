"""Activations, element losses, and layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

import stackgrad.tensor as sg
from stackgrad import nn

from .both_sides import both, gradients, witness

F, TF = nn.functional, torch.nn.functional


def of(x: Any) -> Any:
    """The functions of the side of x."""
    return F if isinstance(x, sg.Tensor) else TF


@witness("no-probabilities")
def _() -> None:
    ours, theirs = both(1.5)
    assert math.isnan(F.binary_cross_entropy(ours, ours * 0).item())
    with pytest.raises(RuntimeError, match="between 0 and 1"):
        TF.binary_cross_entropy(theirs, theirs * 0)


@witness("second-at-kinks")
def _() -> None:
    assert gradients(lambda x: of(x).elu(x), 0.0, order=2) == [[1.0], [0.0]]
    edge = gradients(lambda x: of(x).huber_loss(x, x.detach() * 0), 1.0, order=2)
    assert edge == [[1.0], [0.0]]


@witness("far-out")
def _() -> None:
    found = []
    for lib, functional in ((sg, F), (torch, TF)):
        x = lib.tensor([1e30] * 16, requires_grad=True)
        out = functional.mish(x)
        (first,) = (sg.grad if lib is sg else torch.autograd.grad)(out.sum(), x, create_graph=True)
        (second,) = (sg.grad if lib is sg else torch.autograd.grad)(first.sum(), x)
        found.append(second.tolist()[0])
    assert found[0] == 0
    assert math.isnan(found[1])


@witness("looking-nowhere")
def _() -> None:
    for needed in (True, False):
        x, mask = sg.ones(1, 1, 2), sg.tensor([[True]])
        out, _ = nn.MultiheadAttention(2, 1, bias=False)(x, x, x, attn_mask=mask, need_weights=needed)
        assert not out.detach().numpy().any()
        theirs = torch.nn.MultiheadAttention(2, 1, bias=False)
        y = torch.ones(1, 1, 2)
        out, _ = theirs(y, y, y, attn_mask=torch.tensor([[True]]), need_weights=needed)
        assert np.isnan(out.detach().numpy()).all() == needed


@witness("own-size")
def _() -> None:
    found = []
    for lib, functional in ((sg, F), (torch, TF)):
        x = lib.tensor([[[1.0, 2.0, 3.0]]], requires_grad=True)
        out = functional.interpolate(x, scale_factor=1.3)
        (slope,) = (sg.grad if lib is sg else torch.autograd.grad)(out.sum(), x)
        found.append((out.tolist(), slope.tolist()))
    assert found == [([[[1.0, 2.0, 3.0]]], [[[1.0] * 3]]), ([[[1.0, 1.0, 2.0]]], [[[1.0] * 3]])]


@witness("windows-of-padding")
def _() -> None:
    slopes = gradients(lambda x: of(x).max_pool1d(x, 2, 3, 1, 3), [[1.0, 2.0], [3.0, 4.0]])
    assert slopes == [[[[0.0, 0.0], [0.0, 0.0]]], [[[0.0, 0.0], [1.0, 0.0]]]]
