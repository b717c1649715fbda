"""Gradients at special values, and bugs of PyTorch."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import stackgrad.tensor as sg
from stackgrad import nn

from .both_sides import INF, NAN, both, gradients, rows, same, witness


@witness("batch-norm-strides")
def _() -> None:
    values = np.random.default_rng(0).normal(size=(4, 4, 2, 1)).astype(np.float32).transpose(0, 2, 1, 3)
    g = np.random.default_rng(1).normal(size=(4, 2, 4, 1)).astype(np.float32)
    gradients = []
    for x in (torch.from_numpy(values), torch.from_numpy(values).contiguous()):
        x.requires_grad_()
        torch.nn.functional.batch_norm(x, None, None, torch.ones(2), torch.ones(2), True).backward(torch.from_numpy(g))
        gradients.append(x.grad.numpy())
    ours = sg.from_numpy(values, requires_grad=True)
    sg.batch_norm(ours, sg.ones(2), sg.ones(2))[0].backward(sg.tensor(g))
    assert ours.grad is not None
    np.testing.assert_allclose(ours.grad.numpy(), gradients[1], atol=1e-5)
    assert np.abs(gradients[0] - gradients[1]).max() > 1


@witness("power-at-zero")
def _() -> None:
    ours, theirs = gradients(lambda x: x ** (x.detach() + 1), 0.0, 2.0, order=2)
    assert ours == [0.0, 12.0]
    same(theirs, [0.0, 12.0])
    found = []
    for lib, x in zip((sg, torch), rows(0.0), strict=True):
        y = (x * 0 + 3).detach().requires_grad_()
        (g,) = (
            lib.grad([x**y][0].sum(), [y], create_graph=True)
            if lib is sg
            else torch.autograd.grad((x**y).sum(), [y], create_graph=True)
        )
        g.sum().backward()
        assert y.grad is not None
        found.append(y.grad.tolist())
    assert found[0] == [0.0]
    same(found[1], [NAN])


@witness("half-powers")
def _() -> None:
    ours, theirs = both(-INF)
    assert (ours**0.5).tolist() == [INF]
    assert (ours**-0.5).tolist() == [0.0]
    same((theirs**0.5).tolist(), [NAN])
    same((theirs**-0.5).tolist(), [NAN])


@witness("product-factors")
def _() -> None:
    ours, theirs = gradients(lambda x: x.prod(), INF, 2.0)
    assert ours == [2.0, INF]
    same(theirs, [NAN, INF])


@witness("variance-of-nothing")
def _() -> None:
    with pytest.warns(UserWarning, match="degrees of freedom"):
        ours, theirs = gradients(lambda x: x.var(dim=0, correction=3), 2.0, 4.0)
    same(ours, [NAN, NAN])
    assert theirs == [2.0, -2.0]


@witness("bool-powers")
def _() -> None:
    ours, theirs = rows(2.0, 3.0)
    (ours ** sg.tensor([True, False])).sum().backward()
    assert ours.grad is not None
    assert ours.grad.tolist() == [1.0, 0.0]
    with pytest.raises(TypeError, match="pow of bool"):
        sg.tensor([True]) ** True
    out = (theirs ** torch.tensor([True, False])).sum()
    with pytest.raises(RuntimeError, match="with a bool tensor is not supported"):
        out.backward()


@witness("signs-of-zeros")
def _() -> None:
    assert str(torch.tensor([-0.0]).relu().tolist()) == "[-0.0]"
    for zero in (sg.tensor([-0.0]).relu(), sg.maximum(sg.tensor([-0.0]), sg.zeros(1))):
        assert zero.tolist() == [0.0]


@witness("zero-tensors")
def _() -> None:
    def twice(lib: Any) -> Any:
        x, y = (lib.tensor([value], requires_grad=True) for value in (-2.0, 3.0))
        (x.abs() * y).backward(lib.ones(1), create_graph=True)
        gradients = [x.grad, y.grad]
        x.grad = y.grad = None
        for g in gradients:
            g.sum().backward(retain_graph=True)
        return x.grad.tolist(), y.grad.tolist()

    assert twice(sg) == ([-1.0], [-1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the reference cycles of create_graph=True
        with pytest.raises(RuntimeError, match="ZeroTensors are immutable"):
            twice(torch)


@witness("variance-over-no-dims")
def _() -> None:
    ours, theirs = gradients(lambda x: x.var(dim=()), 2.0, 4.0, 9.0)
    assert ours == [-3.0, -1.0, 4.0]
    assert theirs == [-INF, -INF, INF]


@witness("variance-of-infinity")
def _() -> None:
    ours, theirs = gradients(lambda x: x.var(), INF, 1.0)
    same(ours, [NAN, NAN])
    same(theirs, [NAN, -INF])


@witness("max-of-nan")
def _() -> None:
    ours, theirs = gradients(lambda x: x.max((0, 1)) if isinstance(x, sg.Tensor) else x.amax((0, 1)), [NAN, 2.0])
    assert ours == [[1.0, 0.0]]
    same(theirs, [[NAN, NAN]])
    assert gradients(lambda x: x.max(), [NAN, 2.0])[1] == [[1.0, 0.0]]


@witness("relu-of-nan")
def _() -> None:
    ours, theirs = gradients(lambda x: (x * x).relu(), NAN, 2.0, order=2)
    assert ours == [2.0, 2.0]
    same(theirs, [NAN, 2.0])


@witness("second-at-infinity")
def _() -> None:
    ours, theirs = gradients(lambda x: (x * INF).relu() + x * x, 0.5, order=2)
    assert ours == [2.0]
    same(theirs, [NAN])


@witness("infinite-weights")
def _() -> None:
    weight = np.ones((1, 3, 5, 5), np.float32)
    weight[0, 0, 0, 0] = INF
    image = np.ones((1, 3, 12, 12), np.float32)
    ours = nn.conv2d(sg.tensor(image), sg.tensor(weight), padding=2)
    assert np.isnan(ours.numpy()).sum() == 44
    theirs = torch.nn.functional.conv2d(torch.tensor(image), torch.tensor(weight), padding=2)
    assert not theirs.isnan().any()
    batch = np.array([[1.0], [3.0]], np.float32)
    scale = np.array([INF], np.float32)
    norm = sg.batch_norm(sg.tensor(batch), sg.tensor(scale), sg.zeros(1))[0]
    assert norm.tolist() == [[-INF], [INF]]
    assert (
        torch.nn.functional.batch_norm(torch.tensor(batch), None, None, torch.tensor(scale), torch.zeros(1), True)
        .isnan()
        .all()
    )


@witness("infinite-loss")
def _() -> None:
    logits = np.array([[0.0, 1.0]], np.float32)
    for backend, expected in (("numpy", -INF), ("cpu", NAN)):
        ours = sg.from_numpy(logits.copy(), requires_grad=True, backend=backend)
        nn.cross_entropy(ours, sg.tensor([0], backend=backend)).backward(sg.tensor(INF, backend=backend))
        assert ours.grad is not None
        same(ours.grad.tolist(), [[expected, INF]])
    theirs = torch.tensor(logits, requires_grad=True)
    torch.nn.functional.cross_entropy(theirs, torch.tensor([0])).backward(torch.tensor(INF))
    same(theirs.grad.tolist(), [[NAN, INF]])
