"""An optimizer whose gradients are those of all ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import expect_tensor, whole
from ..optim import Optimizer
from ._world import world


class DistributedOptimizer(Optimizer):
    """An optimizer around another one, with its methods and settings, and with `backward`.

    `optimizer.backward(loss, samples)` stands in the place of `loss.backward()`: behind it each parameter's `grad` is
    that of the mean over the samples of all ranks, with the same bits on each, so that clipping and `step` do on each
    rank what they do in one process. Gradients travel in buckets, each as soon as it is complete, while the backward
    pass goes on. Works in a captured function. Schedules take it as they take the other.

    Args:
        optimizer: any of `nn.optim`.
        compress: "bfloat16" halves what is sent; sums are of float32 all the same.
        bucket_bytes: how many bytes of gradients go together.

    Raises:
        TypeError: what is no optimizer.
        ValueError: another `compress`, a bucket of less than one byte.
    """

    optimizer: Optimizer

    def __init__(
        self, optimizer: Optimizer, *, compress: Literal["bfloat16"] | None = None, bucket_bytes: int = 4 * 1024**2
    ) -> None:
        if not isinstance(optimizer, Optimizer) or isinstance(optimizer, DistributedOptimizer):
            raise TypeError(f"a DistributedOptimizer takes an optimizer of nn.optim; got {type(optimizer).__name__}")
        if compress not in (None, "bfloat16"):
            raise ValueError(f"compress must be None or 'bfloat16'; got {compress!r}")
        vars(self)["optimizer"] = optimizer

    def backward(self, loss: Tensor, samples: int) -> None:
        """Adds to each parameter's `grad` that of the mean over all ranks' samples. All ranks call it equally often.

        Args:
            loss: one element, the mean over this rank's samples (what is added to the mean, as a penalty on weights,
                must be the same on all ranks).
            samples: of how many samples it is the mean; with 0 the rank has none, and its loss counts nothing.

        Raises:
            TypeError: what is no Tensor, no int.
            ValueError: a negative number, or 0 on all ranks.
        """
        expect_tensor("loss", loss)
        count = whole("samples", samples)
        here = world()
        if here.size == 1:
            loss.backward()
            return
        counts = here.comm.allgather(count)
        loss.backward(sg.full(loss.shape, count, dtype=loss.dtype, backend=loss.backend))
        for parameter in self.params:
            if parameter.grad is not None:
                parts = here.comm.allgather(parameter.grad.numpy())
                mean = sum(parts[1:], parts[0]) / np.asarray(sum(counts), parameter.dtype)
                parameter.grad = sg.tensor(mean, parameter.dtype, backend=parameter.backend)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        return self.optimizer.step(closure)

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.optimizer.zero_grad(set_to_none)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        self.optimizer.add_param_group(param_group)

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["optimizer"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.optimizer, name, value)

    def __repr__(self) -> str:
        return f"DistributedOptimizer({self.optimizer!r})"
