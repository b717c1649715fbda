"""Optimizers: they change parameters in place, by the gradients in `parameter.grad`."""

from __future__ import annotations

import copy
import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from ._arguments import expect_tensor, is_integer
from .module import Module


class Optimizer:
    """The base: holds the parameters, the learning rate and the tensors that an optimizer keeps for each parameter.

    Those are made at a parameter's first step, on its backend and of its dtype: move a module with `to` or `astype`
    before it. A parameter whose `grad` is None is skipped, as that of a frozen one is.

    Attributes:
        params: what it changes, in the order given.
        initial_lr: the learning rate that was set last, by the constructor or `lr = ...`; schedules start from it.
        steps: how many steps each parameter has taken.
    """

    settings: tuple[str, ...] = ("lr", "weight_decay")
    """The names of the numbers that `state_dict` holds."""

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0) -> None:
        self.params = _checked_parameters(params)
        self.lr = lr
        self.weight_decay = not_negative("weight_decay", weight_decay)
        self.steps = [0] * len(self.params)
        self.slots: dict[str, dict[int, Tensor]] = {}

    def check(self) -> None:
        """Raises TypeError or ValueError where a setting is not valid. A subclass that has more settings adds theirs.

        `load_state_dict` calls it, and so do the constructors of the optimizers here.
        """
        not_negative("lr", self.lr)
        not_negative("initial_lr", self.initial_lr)
        self.weight_decay = not_negative("weight_decay", self.weight_decay)

    @property
    def lr(self) -> float:
        """The learning rate; set it at any time. A schedule changes it and leaves `initial_lr` alone."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        rate = not_negative("lr", value)

        def change() -> None:
            self._lr = self.initial_lr = rate

        sg.each_time(change, ahead=True)

    def set_scheduled_lr(self, value: float) -> None:
        """Sets `lr` for the next step and leaves `initial_lr` alone, as a schedule does."""
        self._lr = not_negative("lr", value)

    def zero_grad(self) -> None:
        """Drops every gradient."""
        for parameter in self.params:
            parameter.grad = None

    def step(self) -> None:
        """Changes each parameter that has a gradient, once."""
        indices = [index for index, parameter in enumerate(self.params) if parameter.grad is not None]
        sg.depends_on(self.__captured__)

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

    def __captured__(self) -> tuple[object, ...]:
        """What replays of a captured step depend on; settings and the numbers of steps they read themselves."""
        used = [bool(getattr(self, name)) for name in self.settings if name != "lr"]
        return (*self.params, *used, *map(self.steps.index, self.steps))

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

        if not kept.keys() >= set(indices):
            sg.each_time(make, ahead=True)  # where they are made is not recorded: replays would write the zeros again
        sg.depends_on(lambda: tuple(map(self.slots.get(name, {}).get, indices)))
        return [kept[index] for index in indices]

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on later; `save` writes it as it is.

        Returns:
            "settings": name -> number, `initial_lr` among them; "steps": one int a parameter; "tensors":
            "slot.index" -> Tensor, which shares memory with the optimizer.
        """
        tensors = {
            f"{name}.{index}": tensor for name, kept in self.slots.items() for index, tensor in sorted(kept.items())
        }
        settings = {name: getattr(self, name) for name in self._saved_settings()}
        return {"settings": settings, "steps": list(self.steps), "tensors": tensors}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` of an optimizer of the same class and parameters returned.

        A schedule of this optimizer may be made, or its state loaded, before or after this. Nothing is changed where
        it raises.

        Raises:
            TypeError: a setting that is no number, a step that is no int, a value among the tensors that is none.
            ValueError: other settings or some that the constructor would refuse, another number of parameters, tensors
                of another name or shape.
        """
        expect_keys("an optimizer's state", state, ("settings", "steps", "tensors"))
        expect_keys(f"the settings of {type(self).__name__}", state["settings"], self._saved_settings())
        changed = copy.copy(self)
        for name in self._saved_settings():  # initial_lr after lr, which sets it too
            setattr(changed, name, state["settings"][name])
        changed.check()
        changed.steps = self._checked_steps(state["steps"])
        changed.slots = self._checked_slots(state["tensors"])
        # In place where there is one: a captured step goes on with the tensors that it was recorded with.
        for name, kept in self.slots.items():
            loaded = changed.slots.setdefault(name, {})
            for index, tensor in kept.items():
                if index not in loaded:
                    loaded[index] = tensor.zero_()
                elif (tensor.dtype, tensor.backend) == (loaded[index].dtype, loaded[index].backend):
                    loaded[index] = tensor.copy_(loaded[index])
        vars(self).update(vars(changed))

    def _saved_settings(self) -> tuple[str, ...]:
        return (*self.settings, "initial_lr")

    def _checked_steps(self, steps: Any) -> list[int]:
        if not isinstance(steps, Sequence) or isinstance(steps, str):
            raise TypeError(f"the steps of a state must be a list of ints; got {type(steps).__name__}")
        if len(steps) != len(self.params):
            raise ValueError(f"the state is of {len(steps)} parameters; this has {len(self.params)}")
        return [whole("a step of a state", value) for value in steps]

    def _checked_slots(self, tensors: Any) -> dict[str, dict[int, Tensor]]:
        """The tensors of a state by slot and index, in memory of their own."""
        if not isinstance(tensors, Mapping):
            raise TypeError(f"the tensors of a state must stand by name; got {type(tensors).__name__}")
        slots: dict[str, dict[int, Tensor]] = {}
        for key, tensor in tensors.items():
            name, _, index = str(key).rpartition(".")
            if not (name and index.isdecimal() and int(index) < len(self.params)):
                raise ValueError(f"state tensor {key!r} is not named slot.index, index below {len(self.params)}")
            expect_tensor(f"state tensor {key!r}", tensor)
            parameter = self.params[int(index)]
            if tensor.shape != parameter.shape:
                raise ValueError(f"state tensor {key!r} has shape {tensor.shape}; the parameter has {parameter.shape}")
            kept = tensor.detach().astype(parameter.dtype).to(parameter.backend).clone()
            slots.setdefault(name, {})[int(index)] = kept
        return slots

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in self.settings)
        return f"{type(self).__name__}({len(self.params)} parameters, {settings})"


class SGD(Optimizer):
    """Gradient descent, with PyTorch's form of momentum.

        d = grad + weight_decay * p;  v = momentum * v + d;  p -= lr * v

    With `nesterov`, p -= lr * (d + momentum * v). Source: Sutskever et al., "On the importance of initialization and
    momentum in deep learning", ICML 2013.

    Raises:
        TypeError: what is no number, what is no Tensor.
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
        self.momentum = momentum
        self.nesterov = nesterov
        self.check()

    def check(self) -> None:
        super().check()
        self.momentum = not_negative("momentum", self.momentum)
        if not isinstance(self.nesterov, bool | np.bool_):
            raise TypeError(f"nesterov must be True or False; got {self.nesterov!r}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0; got 0")

    def update(self, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        velocities = self.slot("velocity", indices) if self.momentum else None
        numbers = self.numbers(lambda: sg.sgd_numbers(self.lr, self.momentum, self.nesterov, self.weight_decay))
        sg.sgd_step(params, grads, velocities, numbers)


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square; weight decay is added to the gradient.

    Source: Kingma and Ba, "Adam", ICLR 2015.

    Raises:
        TypeError: what is no number, what is no Tensor.
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
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.check()

    def check(self) -> None:
        super().check()
        self.beta1, self.beta2 = not_negative("beta1", self.beta1), not_negative("beta2", self.beta2)
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise ValueError(f"betas must be at least 0 and below 1; got {(self.beta1, self.beta2)}")
        self.eps = not_negative("eps", self.eps)

    def update(self, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        def make() -> NDArray[np.float64]:
            betas, step = (self.beta1, self.beta2), self.steps[indices[0]]
            return sg.adam_numbers(step, self.lr, betas, self.eps, self.weight_decay, self.decoupled)

        sg.adam_step(params, grads, self.slot("mean", indices), self.slot("square", indices), self.numbers(make))


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself, by lr * weight_decay, before the step.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

    Raises:
        TypeError, ValueError: as `Adam`.
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
    """`value` as a float. TypeError where it is no number, ValueError where it is negative, infinite or NaN."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number; got {type(value).__name__}")
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} must be a finite number, not negative; got {value}")
    return float(value)


def whole(name: str, value: int) -> int:
    """`value` as an int. TypeError where it is none, ValueError where it is negative."""
    if not is_integer(value):
        raise TypeError(f"{name} must be an int; got {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} must not be negative; got {value}")
    return int(value)


def expect_keys(what: str, state: Any, keys: Iterable[str]) -> None:
    """TypeError for a state that is no mapping, ValueError for one that has other keys."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{what} must be values by name; got {type(state).__name__}")
    if set(state) != set(keys):
        raise ValueError(f"{what} has the keys {sorted(keys)}; got {sorted(map(str, state))}")


def _checked_parameters(params: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list, each a leaf of a float dtype, given once."""
    if isinstance(params, Module | Tensor) or not isinstance(params, Iterable):
        raise TypeError(f"an optimizer takes several parameters, as model.parameters(); got {type(params).__name__}")
    found = list(params)
    if not found:
        raise ValueError("an optimizer needs at least one parameter; got none")
    for index, parameter in enumerate(found):
        expect_tensor(f"parameter {index}", parameter)
        if not parameter.is_leaf:
            raise ValueError(
                f"parameter {index} must be a leaf, not computed from others; its shape is {parameter.shape}"
            )
        if parameter.dtype.kind != "f":
            raise TypeError(f"parameter {index} must be of float32 or float64; got {parameter.dtype}")
    if len({id(parameter) for parameter in found}) != len(found):
        raise ValueError("a parameter was given twice; each must be given once")
    return found
