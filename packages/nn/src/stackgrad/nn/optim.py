"""Optimizers: they change parameters in place, by the gradients in `parameter.grad`."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor


class Optimizer:
    """The base: holds the parameters, the learning rate and the tensors that an optimizer keeps for each parameter.

    Those are made at a parameter's first step, on its backend: move a module with `to` before it.
    A parameter whose `grad` is None is skipped.
    """

    settings: tuple[str, ...] = ("lr", "weight_decay")
    """The names of the numbers that `state_dict` holds."""

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        self.params = list(params)
        if not self.params:
            raise ValueError("an optimizer needs at least one parameter; got none")
        for index, parameter in enumerate(self.params):
            if not isinstance(parameter, Tensor):
                raise TypeError(f"parameter {index} must be a Tensor; got {type(parameter).__name__}")
            if not (parameter.requires_grad and parameter.is_leaf):
                raise ValueError(f"parameter {index} must be a leaf that requires grad; its shape is {parameter.shape}")
        if len({id(parameter) for parameter in self.params}) != len(self.params):
            raise ValueError("a parameter was given twice; each must be given once")
        self.lr = lr
        self.weight_decay = not_negative("weight_decay", weight_decay)
        self.steps = [0] * len(self.params)
        self.slots: dict[str, dict[int, Tensor]] = {}

    @property
    def lr(self) -> float:
        """The learning rate; set it at any time."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = not_negative("lr", value)

    def zero_grad(self) -> None:
        """Drops every gradient."""
        for parameter in self.params:
            parameter.grad = None

    def step(self) -> None:
        """Changes each parameter that has a gradient, once."""
        indices = [index for index, parameter in enumerate(self.params) if parameter.grad is not None]

        def count() -> None:
            for index in indices:
                self.steps[index] += 1

        sg.each_time(count, ahead=True)
        by_count: dict[int, list[int]] = {}
        for index in indices:
            by_count.setdefault(self.steps[index], []).append(index)
        for alike in by_count.values():
            grads = [grad for index in alike if (grad := self.params[index].grad) is not None]
            self.update(alike, [self.params[index] for index in alike], grads)

    def update(self, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        """Changes `params`, which stand at `indices` and have taken equally many steps, this one counted."""
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def numbers(self, make: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """What `make` makes of the settings and of the steps taken; in a captured function, made anew each time."""
        kept: list[NDArray[np.float64]] = []

        def write() -> None:
            made = make()
            if kept:
                np.copyto(kept[0], made)
            else:
                kept.append(made)

        sg.each_time(write, ahead=True)
        return kept[0]

    def slot(self, name: str, indices: list[int]) -> list[Tensor]:
        """The tensor kept under this name for each of these parameters; zeros at first."""
        kept = self.slots.setdefault(name, {})

        def make() -> None:
            for index in indices:
                if index not in kept:
                    like = self.params[index]
                    kept[index] = sg.zeros(*like.shape, dtype=like.dtype, backend=like.backend)

        sg.each_time(make, in_replays=False)  # recorded, a captured function would write the zeros each time
        return [kept[index] for index in indices]

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on later.

        Returns:
            "settings": name -> number; "steps": one int a parameter; "tensors": "slot.index" -> Tensor, which shares
            memory with the optimizer. The first two can be written as JSON, the last by `save`.
        """
        tensors = {
            f"{name}.{index}": tensor for name, kept in self.slots.items() for index, tensor in sorted(kept.items())
        }
        settings = {name: getattr(self, name) for name in self.settings}
        return {"settings": settings, "steps": list(self.steps), "tensors": tensors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` of an optimizer of the same class and parameters returned.

        Raises:
            ValueError: other settings, another number of parameters, tensors of another name or shape.
        """
        if set(state) != {"settings", "steps", "tensors"}:
            raise ValueError(f"an optimizer's state has the keys settings, steps and tensors; got {sorted(state)}")
        if set(state["settings"]) != set(self.settings):
            raise ValueError(
                f"{type(self).__name__} has the settings {sorted(self.settings)}; got {sorted(state['settings'])}"
            )
        if len(state["steps"]) != len(self.params):
            raise ValueError(f"the state is of {len(state['steps'])} parameters; this has {len(self.params)}")
        slots: dict[str, dict[int, Tensor]] = {}
        for key, tensor in state["tensors"].items():
            name, _, number = key.rpartition(".")
            if not (name and number.isdecimal() and int(number) < len(self.params)):
                raise ValueError(f"state tensor {key!r} is not named slot.index, index below {len(self.params)}")
            parameter = self.params[int(number)]
            if tensor.shape != parameter.shape:
                raise ValueError(f"state tensor {key!r} has shape {tensor.shape}; the parameter has {parameter.shape}")
            kept = tensor.detach().astype(parameter.dtype).to(parameter.backend).clone()
            slots.setdefault(name, {})[int(number)] = kept
        for name in self.settings:
            setattr(self, name, state["settings"][name])
        self.steps = [int(count) for count in state["steps"]]
        for name, loaded in slots.items():
            kept = self.slots.get(name, {})
            # In place where there is one: a captured step goes on with the tensors that it was recorded with.
            loaded.update({i: kept[i].copy_(tensor) for i, tensor in loaded.items() if i in kept})
        self.slots = slots

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in self.settings)
        return f"{type(self).__name__}({len(self.params)} parameters, {settings})"


class SGD(Optimizer):
    """Gradient descent, with PyTorch's form of momentum.

        d = grad + weight_decay * p;  v = momentum * v + d;  p -= lr * v

    With `nesterov`, p -= lr * (d + momentum * v). Source: Sutskever et al., "On the importance of initialization and
    momentum in deep learning", ICML 2013.

    Raises:
        ValueError: a negative number, `nesterov` without momentum, no parameters.
    """

    settings = ("lr", "momentum", "nesterov", "weight_decay")

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        self.momentum = not_negative("momentum", momentum)
        self.nesterov = nesterov
        if nesterov and momentum == 0:
            raise ValueError("nesterov needs a momentum above 0; got 0")

    def update(self, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        velocities = self.slot("velocity", indices) if self.momentum else None
        numbers = self.numbers(lambda: sg.sgd_numbers(self.lr, self.momentum, self.nesterov, self.weight_decay))
        sg.sgd_step(params, grads, velocities, numbers)


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square; weight decay is added to the gradient.

    Source: Kingma and Ba, "Adam", ICLR 2015.

    Raises:
        ValueError: a negative number, a beta outside [0, 1), no parameters.
    """

    settings = ("lr", "beta1", "beta2", "eps", "weight_decay")
    decoupled = False

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, weight_decay)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas must be at least 0 and below 1; got {betas}")
        self.beta1, self.beta2 = betas
        self.eps = not_negative("eps", eps)

    def update(self, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        def make() -> NDArray[np.float64]:
            betas, step = (self.beta1, self.beta2), self.steps[indices[0]]
            return sg.adam_numbers(step, self.lr, betas, self.eps, self.weight_decay, self.decoupled)

        sg.adam_step(params, grads, self.slot("mean", indices), self.slot("square", indices), self.numbers(make))


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself, by lr * weight_decay, before the step.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Raises:
        ValueError: as `Adam`.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)


def not_negative(name: str, value: float) -> float:
    """`value`, or ValueError where it is negative, infinite or NaN."""
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, not negative; got {value}")
    return value
