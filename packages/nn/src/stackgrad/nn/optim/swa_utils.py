"""Weights averaged over the steps of training, which often do better than the last ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .. import _state
from .._arguments import expect_keys, not_negative
from ..layers.norm import _BatchNorm
from ..module import Module
from ..parameter import Buffer

Average: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From an averaged tensor, the current one, and how many were averaged before, an int64 tensor: the next average."""

Averages: TypeAlias = Callable[[list[Tensor], list[Tensor], Tensor], None]
"""The same for all tensors, in place."""


def get_swa_avg_fn() -> Average:
    """The mean of all. Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    UAI 2018."""
    return lambda averaged, current, count: averaged + (current - averaged) / (count + 1).astype(averaged.dtype)


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential moving average, `decay * averaged + (1 - decay) * current`. ValueError for a decay above 1."""
    decay = _share(decay)
    return lambda averaged, current, count: averaged * decay + current * (1 - decay)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """`get_ema_avg_fn` for all tensors at once."""
    decay = _share(decay)

    def average(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        for own, now in zip(averaged, current, strict=True):
            own.lerp_(now, 1 - decay)

    return average


class AveragedModel(Module):
    """A copy of a model whose parameters are the averages of the model's, over the calls of `update_parameters`.

    The first call copies them. Works in a captured function.

    Args:
        model: is copied, and stays as it is.
        avg_fn: how a parameter is averaged; the mean of all if None.
        multi_avg_fn: how all are averaged, instead.
        use_buffers: whether buffers of floats are averaged as well; otherwise they are copied at each call.

    Attributes:
        module: the copy.
        n_averaged: how many calls there were, an int64 tensor, saved with the rest.

    Raises:
        ValueError: both functions given.
    """

    def __init__(
        self,
        model: Module,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel takes avg_fn or multi_avg_fn; got both")
        self.module = copy.deepcopy(model)
        backend = next((parameter.backend for parameter in model.parameters()), None)
        self.n_averaged = Buffer(sg.zeros((), dtype=sg.int64, backend=backend))
        self.avg_fn = avg_fn or get_swa_avg_fn()
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Averages the parameters of the model in."""
        own = [parameter.detach() for parameter in self.module.parameters()]
        now = [parameter.detach() for parameter in model.parameters()]
        for (_, buffer), (_, given) in zip(self.module.named_buffers(), model.named_buffers(), strict=True):
            if self.use_buffers and buffer.dtype.kind == "f":
                own.append(buffer.detach())
                now.append(given.detach())
            else:
                buffer.detach().copy_(given.detach())
        if self.multi_avg_fn is None:
            new = [self.avg_fn(mine, its, self.n_averaged) for mine, its in zip(own, now, strict=True)]
        else:
            new = [mine.clone() for mine in own]
            self.multi_avg_fn(new, now, self.n_averaged)
        first = self.n_averaged == 0  # not a branch, which a captured function could not take
        for mine, its, average in zip(own, now, new, strict=True):
            mine.copy_(sg.where(first, its, average))
        self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Sets the running statistics of a model's batch norms to their means over the batches of `loader`.

    For averaged weights, with which none were gathered. The model is called in training mode, without gradients, and
    then is in the mode in which it was.

    Args:
        loader: batches of the model's input: tensors, or lists and tuples that begin with one.
        model: stays as it is where it has no batch norm.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    modes = [(module, module.training) for module in model.modules()]
    shares = [norm.momentum for norm in norms]
    model.train()
    try:
        for norm in norms:
            norm.running_mean.detach().zero_()
            norm.running_var.detach().fill_(1.0)
        with sg.no_grad():
            for count, batch in enumerate(loader, 1):
                for norm in norms:
                    norm.momentum = 1 / count
                model(batch[0] if isinstance(batch, list | tuple) else batch)
    finally:
        for norm, share in zip(norms, shares, strict=True):
            norm.momentum = share
        for module, training in modes:
            module.training = training


class EMA:
    """The exponential moving averages of a model's parameters, which can take the parameters' place for a while.

        ema = EMA(model, 0.999)
        ...                      # after each optimizer.step():
        ema.update()
        with ema.apply():        # or ema.apply(), and later ema.restore()
            evaluate(model)

    They start at the parameters' values; `update` works in a captured function.

    Args:
        model: its parameters are averaged.
        decay: the share that an average keeps at each update, between 0 and 1.

    Raises:
        TypeError, ValueError: a decay that is no number between 0 and 1.
    """

    def __init__(self, model: Module, decay: float = 0.999) -> None:
        self.decay = _share(decay)
        self._parameters = dict(model.named_parameters())
        self._averages = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._kept: dict[str, Tensor] | None = None

    def update(self) -> None:
        """Goes the part 1 - decay of the way to the parameters. RuntimeError while the averages are applied."""
        if self._kept is not None:
            raise RuntimeError("the averages are in the place of the parameters: restore() before update()")
        for name, average in self._averages.items():
            average.lerp_(self._parameters[name].detach(), 1 - self.decay)

    def apply(self) -> Self:
        """Writes the averages to the parameters until `restore` or the end of a `with`; RuntimeError if they are."""
        if self._kept is not None:
            raise RuntimeError("the averages are in the place of the parameters already: restore() first")
        self._kept = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._write(self._averages)
        return self

    def restore(self) -> None:
        """Writes the parameters of before `apply` back. RuntimeError where there are none."""
        if self._kept is None:
            raise RuntimeError("the averages are not in the place of the parameters: apply() before restore()")
        self._write(self._kept)
        self._kept = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.restore()

    def state_dict(self) -> dict[str, Any]:
        """{"decay": float, "averages": name -> Tensor}; the tensors share memory with this."""
        return {"decay": self.decay, "averages": dict(self._averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave; raises as `Module.load_state_dict`, and changes nothing then."""
        expect_keys("the state of an EMA", state, ("decay", "averages"))
        decay = _share(state["decay"])
        _state.load("an EMA", self._averages, set(), state["averages"], strict=True)
        self.decay = decay

    def _write(self, values: Mapping[str, Tensor]) -> None:
        with sg.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(values[name])


def _share(decay: float) -> float:
    if not_negative("decay", decay) > 1:
        raise ValueError(f"decay must be at most 1; got {decay}")
    return float(decay)
