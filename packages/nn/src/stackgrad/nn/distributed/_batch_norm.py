"""Batch normalisation with the statistics of all ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Function, HostBackend, Tensor
from stackgrad.tensor._checks import expect_activation, expect_optional, expect_tensors
from stackgrad.tensor._types import Activation

from ..layers.norm import _BatchNorm
from ..module import Module
from ._call import meet
from ._world import world

M = TypeVar("M", bound=Module)


def convert_sync_batchnorm(module: M) -> M:
    """Make each `BatchNorm1d` and `BatchNorm2d` of a module use the statistics of the whole batch, over all ranks.

    Otherwise each rank uses the statistics of its own share, which needs no communication. Works in place; names and
    state do not change. The ranks then wait for each other in each such layer, forward and backward: all ranks must run
    the same layers, even with an empty share.

    Returns:
        The same module.
    """
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            layer.normalise = sync_batch_norm
    return module


def sync_batch_norm(
    input: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    activation: Activation = None,
) -> Tensor:
    """`functional.batch_norm` of the inputs of all ranks as one batch; in evaluation, that function itself.

    Raises as that function, counting the values per channel over all ranks. Raises DisagreementError if other ranks
    call a different function.
    """
    if not training or world().size == 1:
        from .. import functional as F

        return F.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps, activation)
    expect_tensors("batch_norm", input=input, running_mean=running_mean, running_var=running_var)
    expect_optional("batch_norm", weight=weight, bias=bias)
    expect_activation(activation)
    if input.ndim < 2 or input.shape[1:2] != running_mean.shape:
        raise ValueError(
            f"input of shape {input.shape}: expected (batch, channels, ...), {running_mean.shape} channels"
        )
    dims = (0, *range(2, input.ndim))
    column = (input.shape[1], *(1,) * (input.ndim - 2))
    own = sg.full((1,), input.size // input.shape[1], dtype=input.dtype, backend=input.backend)
    count = _total(own, _expect_several)
    mean = SumOverRanks.apply(input.sum(dims)) / count
    centred = input - mean.reshape(*column)
    var = SumOverRanks.apply((centred * centred).sum(dims)) / count
    out = centred * (var + eps).rsqrt().reshape(*column)
    if weight is not None:
        out = out * weight.reshape(*column)
    if bias is not None:
        out = out + bias.reshape(*column)
    with sg.no_grad():
        running_mean.copy_(running_mean * (1 - momentum) + mean * momentum)
        running_var.copy_(running_var * (1 - momentum) + var * (momentum * count / (count - 1)))
    return out if activation is None else out.relu()


def _expect_several(count: NDArray[Any]) -> None:
    if count[0] < 2:
        raise ValueError(f"batch_norm over all ranks has {count[0]:.0f} values per channel: expected 2 or more")


class SumOverRanks(Function):
    """The sum of x over the ranks, in rank order: equal on all ranks."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _total(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return SumOverRanks.apply(g)


def _total(x: Tensor, check: Callable[[NDArray[Any]], None] = lambda total: None) -> Tensor:
    """The sum over the ranks; `check` may raise for its value."""
    here, backend, data = world(), x.backend, x.memory()
    out = backend.empty(x.shape, x.dtype)
    received = np.empty((here.size, *x.shape), x.dtype)

    def exchange() -> None:
        meet("sync_batch_norm")
        here.comm.Allgather(np.ascontiguousarray(backend.to_numpy(data)), received)
        total = received[0].copy()
        for other in received[1:]:
            total += other
        check(total)
        if isinstance(backend, HostBackend):
            out[...] = total
        else:
            backend.assign(out, backend.from_numpy(total))

    sg.each_time(exchange)
    return x.new(out)
