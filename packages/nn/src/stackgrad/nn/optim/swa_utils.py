"""Averages of the weights over training, which often generalise better than the last weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_functions

from .. import _state
from .._arguments import expect_keys, expect_module, not_negative
from ..layers.norm import _BatchNorm
from ..module import Module
from ..parameter import Buffer

Average: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The next average, from the previous one, the current tensor, and an int64 count of the tensors averaged so far."""

Averages: TypeAlias = Callable[[list[Tensor], list[Tensor], Tensor], None]
"""The same for all tensors at once, in place."""


def get_swa_avg_fn() -> Average:
    """The mean of all. Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    UAI 2018.

    >>> optim.swa_utils.get_swa_avg_fn()(tensor([1.0]), tensor([3.0]), tensor(1))
    tensor([2.])
    """
    return lambda averaged, current, count: averaged + (current - averaged) / (count + 1).astype(averaged.dtype)


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """An exponential moving average, `decay * averaged + (1 - decay) * current`. ValueError for a decay above 1.

    >>> averaged = nn.AveragedModel(nn.Linear(2, 1), optim.swa_utils.get_ema_avg_fn(0.99))
    """
    decay = _checked_decay(decay)
    return lambda averaged, current, count: averaged * decay + current * (1 - decay)


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """`get_ema_avg_fn` for all tensors at once.

    >>> average = optim.swa_utils.get_ema_multi_avg_fn(0.99)
    >>> averaged = nn.AveragedModel(nn.Linear(2, 1), multi_avg_fn=average)
    """
    decay = _checked_decay(decay)

    def average(averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
        for own, now in zip(averaged, current, strict=True):
            own.lerp_(now, 1 - decay)

    return average


class AveragedModel(Module):
    """A copy of a model with averaged parameters, updated by each call of `update_parameters`.

    The first call copies the parameters. Works in a captured function.

    Args:
        model: the model to copy; it does not change.
        avg_fn: the average of one parameter; the mean of all calls if None.
        multi_avg_fn: the average of all parameters at once, instead of `avg_fn`.
        use_buffers: whether to average float buffers as well; otherwise each call copies them.

    Attributes:
        module: the copy.
        n_averaged: the number of calls so far, an int64 buffer of shape ().

    Raises:
        ValueError: both functions given.

    >>> model = nn.Linear(2, 1)
    >>> averaged = nn.AveragedModel(model)
    >>> averaged.update_parameters(model)
    >>> averaged(ones(3, 2)).shape
    (3, 1)
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
        expect_module("AveragedModel", model)
        functions = {"avg_fn": avg_fn, "multi_avg_fn": multi_avg_fn}
        expect_functions("AveragedModel", **{name: given for name, given in functions.items() if given is not None})
        self.module = copy.deepcopy(model)
        backend = next((parameter.backend for parameter in model.parameters()), None)
        self.n_averaged = Buffer(sg.zeros((), dtype=sg.int64, backend=backend))
        self.avg_fn = avg_fn or get_swa_avg_fn()
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Add the current parameters of the model to the averages.

        >>> model = nn.Linear(2, 1)
        >>> averaged = nn.AveragedModel(model)
        >>> averaged.update_parameters(model)
        >>> averaged.n_averaged
        tensor(1)
        """
        expect_module("update_parameters", model)
        averages = [parameter.detach() for parameter in self.module.parameters()]
        current = [parameter.detach() for parameter in model.parameters()]
        for (_, buffer), (_, given) in zip(self.module.named_buffers(), model.named_buffers(), strict=True):
            if self.use_buffers and buffer.dtype.kind == "f":
                averages.append(buffer.detach())
                current.append(given.detach())
            else:
                buffer.detach().copy_(given.detach())
        if self.multi_avg_fn is None:
            new = [self.avg_fn(old, now, self.n_averaged) for old, now in zip(averages, current, strict=True)]
        else:
            new = [old.clone() for old in averages]
            self.multi_avg_fn(new, current, self.n_averaged)
        first = self.n_averaged == 0  # no branch: a captured function must not depend on the value
        for old, now, average in zip(averages, current, new, strict=True):
            old.copy_(sg.where(first, now, average))
        self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Set the running statistics of a model's batch norms to their means over the batches of `loader`.

    Averaged weights need this, since their statistics were never collected. Calls the model in training mode without
    gradients, and restores its mode.

    Args:
        loader: batches of the model's input: tensors, or lists and tuples whose first element is one.
        model: any model; without batch norm it does not change.

    >>> model = nn.BatchNorm1d(1)
    >>> optim.swa_utils.update_bn([tensor([[1.0], [3.0]])], model)
    >>> model.running_mean.tolist()
    [2.0]
    """
    expect_module("update_bn", model)
    if not isinstance(loader, Iterable):
        raise TypeError(f"update_bn takes a loader, an iterable of batches; got {type(loader).__name__}")
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    modes = [(module, module.training) for module in model.modules()]
    momenta = [norm.momentum for norm in norms]
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
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, training in modes:
            module.training = training


class EMA:
    """Exponential moving averages of a model's parameters, which can replace the parameters temporarily.

        ema = EMA(model, 0.999)
        ...                      # after each optimizer.step():
        ema.update()
        with ema.apply():        # or ema.apply(), and later ema.restore()
            evaluate(model)

    They start at the parameters' values; `update` works in a captured function.

    Args:
        model: the model whose parameters are averaged.
        decay: the weight of the previous average at each update, between 0 and 1.

    Raises:
        TypeError, ValueError: a decay that is not a number between 0 and 1.

    >>> model = nn.Linear(2, 1)
    >>> ema = nn.EMA(model, decay=0.99)
    >>> ema.update()  # after each step
    >>> with ema.apply():
    ...     out = model(ones(3, 2))
    """

    def __init__(self, model: Module, decay: float = 0.999) -> None:
        expect_module("EMA", model)
        self.decay = _checked_decay(decay)
        self._parameters = dict(model.named_parameters())
        self._averages = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._saved: dict[str, Tensor] | None = None

    def __repr__(self) -> str:
        applied = "" if self._saved is None else ", applied"
        return f"EMA({len(self._averages)} parameters, decay={self.decay}{applied})"

    def update(self) -> None:
        """Move the averages towards the parameters by the fraction 1 - decay. RuntimeError while they are applied.

        >>> weights = nn.Linear(2, 1)
        >>> nn.EMA(weights).update()
        """
        if self._saved is not None:
            raise RuntimeError("the averages are applied to the parameters: restore() before update()")
        for name, average in self._averages.items():
            average.lerp_(self._parameters[name].detach(), 1 - self.decay)

    def apply(self) -> Self:
        """Write the averages to the parameters until `restore` or the end of a `with`. RuntimeError if applied.

        >>> model = nn.Linear(2, 1)
        >>> with nn.EMA(model).apply():
        ...     out = model(ones(3, 2))
        """
        if self._saved is not None:
            raise RuntimeError("the averages are already applied to the parameters: restore() first")
        self._saved = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._write(self._averages)
        return self

    def restore(self) -> None:
        """Restore the parameters from before `apply`. RuntimeError if the averages are not applied.

        >>> ema = nn.EMA(nn.Linear(2, 1)).apply()
        >>> ema.restore()
        """
        if self._saved is None:
            raise RuntimeError("the averages are not applied to the parameters: apply() before restore()")
        self._write(self._saved)
        self._saved = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.restore()

    def state_dict(self) -> dict[str, Any]:
        """{"decay": float, "averages": name -> Tensor}; the tensors share memory with this object.

        >>> list(nn.EMA(nn.Linear(2, 1)).state_dict()["averages"])
        ['weight', 'bias']
        """
        return {"decay": self.decay, "averages": dict(self._averages)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state that `state_dict` returned. Raises as `Module.load_state_dict`; then nothing has changed.

        >>> first, second = (nn.EMA(nn.Linear(2, 1)) for _ in range(2))
        >>> second.load_state_dict(first.state_dict())
        """
        expect_keys("the state of an EMA", state, ("decay", "averages"))
        decay = _checked_decay(state["decay"])
        _state.load("an EMA", self._averages, set(), state["averages"], strict=True)
        self.decay = decay

    def _write(self, values: Mapping[str, Tensor]) -> None:
        with sg.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(values[name])


def _checked_decay(decay: float) -> float:
    if not_negative("decay", decay) > 1:
        raise ValueError(f"decay must be at most 1; got {decay}")
    return float(decay)
