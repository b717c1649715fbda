"""Tensors, and the results of operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import stackgrad.tensor as sg

from .both_sides import INF, both, witness


@witness("max-values")
def _() -> None:
    ours, theirs = both(1.0, 3.0)
    assert ours.max(0).item() == 3.0
    assert theirs.max(0).values == 3.0
    assert theirs.max(0).indices == 1


@witness("sizes")
def _() -> None:
    ours, theirs = both(1.0, 3.0)
    assert ours.size == 2
    assert ours.size() == theirs.size() == (2,)
    assert ours.size(0) == theirs.size(0) == 2
    assert theirs.size != 2


@witness("ties-in-order")
def _() -> None:
    x = np.zeros(100, np.float32)
    ours, theirs = sg.tensor(x), torch.tensor(x)
    assert ours.topk(3).indices.tolist() == ours.sort(descending=True).indices[:3].tolist() == [0, 1, 2]
    assert theirs.topk(3).indices.tolist() != [0, 1, 2]


@witness("median-of-nothing")
def _() -> None:
    assert torch.zeros(0).median().isnan()
    with pytest.raises(ValueError, match="there is nothing to take the median of"):
        sg.zeros(0).median()


@witness("several-dims")
def _() -> None:
    ours, theirs = (x.reshape(2, 2) for x in both(1.0, 2.0, 3.0, 4.0))
    assert ours.max((0, 1)).item() == ours.max(()).item() == 4.0
    assert ours.prod((0, 1)).item() == 24.0
    for wrong in (theirs.max, theirs.min, theirs.prod):
        with pytest.raises(TypeError):
            wrong((0, 1))


@witness("arg-of-bools")
def _() -> None:
    assert sg.tensor([False, True]).argmax().item() == 1
    with pytest.raises(RuntimeError, match="bool"):
        torch.tensor([False, True]).argmax()


@witness("rows-of-nothing")
def _() -> None:
    with pytest.raises(ValueError, match="ragged"):
        sg.tensor([[], [1]])
    assert tuple(torch.tensor([[], [1]]).shape) == (2, 0)


@witness("numpy-functions")
def _() -> None:
    ours, theirs = both(1.0, 3.0)
    ours.requires_grad_()
    assert np.mean(ours, axis=0).requires_grad
    with pytest.raises(TypeError):
        np.mean(theirs, axis=0)
    assert type(np.sqrt(ours.detach())) is np.ndarray
    found: Any = np.nonzero(ours.detach())
    assert found.tolist() == [[0], [1]]
    with pytest.warns(DeprecationWarning, match="__array_wrap__"):
        assert type(np.sqrt(theirs)) is torch.Tensor


@witness("numpy-names")
def _() -> None:
    ours, theirs = both(1.0, 3.0)
    assert ours.sum(keepdims=True).tolist() == [4.0]
    assert ours.var(axis=0, ddof=0, keepdims=True).tolist() == [1.0]
    with pytest.raises(TypeError):
        theirs.sum(keepdims=True)
    with pytest.raises(TypeError):
        theirs.var(0, ddof=0)


@witness("lists-of-tensors")
def _() -> None:
    ours, theirs = both(1.0, 3.0)
    assert sg.tensor([ours, ours]).shape == (2, 2)
    with pytest.raises(ValueError, match="only one element tensors"):
        torch.tensor([theirs, theirs])
    with pytest.raises(RuntimeError, match="requires a gradient"):
        sg.tensor([sg.tensor(1.0, requires_grad=True)])
    with pytest.warns(UserWarning, match="requires_grad=True to a scalar"):
        assert not torch.tensor([torch.tensor(1.0, requires_grad=True)]).requires_grad


@witness("arange-of-nothing")
def _() -> None:
    assert sg.arange(5, 2).shape == (0,)
    with pytest.raises(RuntimeError, match="inconsistent with step sign"):
        torch.arange(5, 2)


@witness("where-method")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    assert (ours > 1).where(ours, 0.0).tolist() == [0.0, 2.0]
    assert theirs.where(theirs > 1, 0.0).tolist() == [0.0, 2.0]
    with pytest.raises(TypeError):
        ours.where(ours > 1, 0.0)


@witness("read-only-numpy")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    theirs.numpy()[0] = 5.0
    assert theirs[0] == 5.0
    with pytest.raises(ValueError, match="read-only"):
        ours.numpy()[0] = 5.0


@witness("data-is-an-array")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    assert type(theirs.data) is torch.Tensor
    assert type(ours.to("numpy").data) is np.ndarray
    with sg.no_grad():
        ours -= 1
    assert ours.detach().tolist() == [0.0, 1.0]


@witness("numpy-operands")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    with pytest.warns(DeprecationWarning, match="__array_wrap__"):
        assert (theirs + np.ones(2)).dtype == torch.float64
    with pytest.raises(TypeError, match="NumPy array"):
        ours + np.ones(2)


@witness("scalar-operands")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    assert sg.maximum(ours, 1.5).tolist() == [1.5, 2.0]
    assert ours.logical_and(0).tolist() == [False, False]
    with pytest.raises(TypeError):
        theirs.logical_and(0)
    with pytest.raises(TypeError):
        torch.maximum(theirs, 1.5)


@witness("four-dtypes")
def _() -> None:
    assert torch.tensor([1, 2], dtype=torch.int32).dtype == torch.int32
    with pytest.raises(TypeError, match="expected float32, float64, int64 or bool"):
        sg.tensor(np.ones(2, np.int32))


@witness("errors")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    with pytest.raises(ValueError, match="shape"):
        ours + sg.ones(3)
    with pytest.raises(RuntimeError, match="must match"):
        theirs + torch.ones(3)


@witness("random-numbers")
def _() -> None:
    sg.manual_seed(0)
    torch.manual_seed(0)
    assert sg.rand(3).tolist() != torch.rand(3).tolist()


@witness("strides-of-results")
def _() -> None:
    assert (sg.ones(2, 3).T * 2).view(6).shape == (6,)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        (torch.ones(2, 3).T * 2).view(6)


@witness("matmul-promotes")
def _() -> None:
    assert (sg.ones(2) @ sg.ones(2, dtype="float64")).dtype == np.float64
    with pytest.raises(RuntimeError, match="same dtype"):
        torch.ones(2) @ torch.ones(2, dtype=torch.float64)


@witness("bool-minus")
def _() -> None:
    ours, theirs = both(1.0, 2.0)
    assert (ours - True).tolist() == [0.0, 1.0]
    with pytest.raises(RuntimeError, match="bool tensor"):
        theirs - True


@witness("negative-powers")
def _() -> None:
    ours, theirs = both(2, 3)
    with pytest.raises(ValueError, match="negative power"):
        ours ** -sg.ones(2, dtype="int64")
    assert (theirs ** torch.tensor([-1, -1])).tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="negative integer powers"):
        theirs**-1


@witness("exact-sums")
def _() -> None:
    ours, theirs = both(1e30, 1e30, 1e-30, 1e-30)
    assert ours.prod().item() == 1.0
    assert theirs.prod().item() == INF
