"""The base of the optimizers: they change parameters in place, by the gradients in `parameter.grad`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import expect_keys, expect_tensor, flag, is_integer, not_negative, whole
from ._groups import Group, Params, Settings, groups_of, make_group


def setting(name: str) -> Any:
    """A property that reads a setting of the first group, and sets that of all groups."""

    def read(self: Any) -> Any:
        return self.param_groups[0][name]

    def write(self: Any, value: Any) -> None:
        for group in self.param_groups:
            group[name] = value

    return property(read, write)


class _Absent:
    """An attribute that is not there, although a base class has it."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        raise AttributeError


class Optimizer:
    """Holds the parameters in groups, the settings of each group, and the tensors kept for each parameter.

    Those are made at a parameter's first step, on its backend and of its dtype: move a module with `to` or `astype`
    before it. A parameter whose `grad` is None is skipped, as that of a frozen one is. A subclass defines `update`,
    and `check` for the settings that it adds.

    Args:
        params: parameters, or groups of them: `[{"params": body}, {"params": head, "lr": 0.1}]`;
            what a group does not set is as in `defaults`.
        defaults: the settings by name, "lr" among them.

    Attributes:
        param_groups: a dict for each group, with "params", its settings, and "initial_lr": the learning rate that was
            set last, by the constructor or by hand; schedules start from it.
        lr, initial_lr, and the other settings: those of the first group; set, they are those of all groups.
        params: all parameters, in the order given.
        steps: how many steps each parameter has taken.
        state: for a subclass with a `step` of its own, a dict for each parameter, of tensors, numbers and text.

    Raises:
        TypeError: an argument that is not a Tensor, a setting of another type.
        ValueError: no parameters, one that is given twice or is no leaf, a setting that is not valid.
    """

    lr = setting("lr")
    initial_lr = setting("initial_lr")
    weight_decay = setting("weight_decay")
    maximize = setting("maximize")

    def __init__(self, params: Params, defaults: Settings) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[Group] = []
        self.params: list[Tensor] = []
        self.steps: list[int] = []
        self.slots: dict[str, dict[int, Tensor]] = {}
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self._group_of: list[int] = []
        for group in groups_of(params):
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Adds parameters with settings of their own, `{"params": ..., "lr": ...}`; raises as the constructor."""
        group = make_group(param_group, self.defaults, self.check, self.params)
        count = len(group["params"])
        self._group_of += [len(self.param_groups)] * count
        self.param_groups.append(group)
        self.params += group["params"]
        self.steps += [0] * count

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Makes numbers floats. Raises TypeError or ValueError for a setting of a group that is not valid."""
        for name in ("lr", "initial_lr", "weight_decay"):
            if name in settings:
                settings[name] = not_negative(name, settings[name])
        if "maximize" in settings:
            settings["maximize"] = flag("maximize", settings["maximize"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops every gradient, or writes zeros to it."""
        for parameter in self.params:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Changes each parameter that has a gradient, once.

        Args:
            closure: computes the loss and the gradients, before anything is changed.

        Returns:
            What the closure gave; None without one.
        """
        loss = None
        if closure is not None:
            with sg.enable_grad():
                loss = closure()
        params, steps, group_of = self.params, self.steps, self._group_of
        grads = [parameter.grad for parameter in params]
        indices = [index for index, grad in enumerate(grads) if grad is not None]
        sg.depends_on(self._dependencies)

        def count() -> None:
            for index in indices:
                steps[index] += 1

        sg.each_time(count, ahead=True)
        alike: dict[tuple[int, int], list[int]] = {}
        if len(self.param_groups) == 1 and len(set(steps)) == 1 and indices:  # as in most steps
            alike[0, steps[0]] = indices
        else:
            for index in indices:
                alike.setdefault((group_of[index], steps[index]), []).append(index)
        for (number, _), chosen in alike.items():
            group = self.param_groups[number]
            slopes: list[Any] = [grads[index] for index in chosen]
            if group.get("maximize"):
                slopes = [-slope for slope in slopes]
            self.update(group, chosen, [params[index] for index in chosen], slopes)
        return loss

    def _dependencies(self) -> tuple[object, ...]:
        """What replays of a captured step depend on; settings and the numbers of steps they read themselves."""
        used = [bool(group[name]) for group in self.param_groups for name in self.defaults if name != "lr"]
        return (*self.params, *used, *map(self.steps.index, self.steps))

    __captured__ = _dependencies

    def __init_subclass__(cls) -> None:
        if "step" in vars(cls):  # what that depends on is seen from its code
            cls.__captured__ = _Absent()  # type: ignore[assignment]

    def update(self, group: Group, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        """Changes `params`, some of a group's, which stand at `indices` among all and have taken equally many steps,
        this one counted."""
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

    def slot(self, name: str, indices: list[int], first: float = 0.0) -> list[Tensor]:
        """The tensor kept under this name for each of these parameters; all its elements are `first` at first.

        One whose name begins with "_" is memory to work in, and not part of the state.
        """
        kept = self.slots.setdefault(name, {})

        def make() -> None:
            for index in indices:
                if index not in kept:
                    like = self.params[index]
                    kept[index] = sg.full(like.shape, first, dtype=like.dtype, backend=like.backend)

        if not all(map(kept.__contains__, indices)):
            sg.each_time(make, ahead=True)  # where they are made is not recorded: replays would write the zeros again
        sg.depends_on(lambda: tuple(map(self.slots.get(name, {}).get, indices)))
        return [kept[index] for index in indices]

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on later; `save` writes it as it is.

        Returns:
            "param_groups": for each group its settings, "initial_lr" among them, and as "params" the indices of its
            parameters; "steps": one int a parameter; "tensors": "slot.index" -> Tensor, which shares memory with the
            optimizer; "state", where a subclass keeps one: index -> its dict.
        """
        tensors = {
            f"{name}.{index}": tensor
            for name, kept in self.slots.items()
            if not name.startswith("_")
            for index, tensor in sorted(kept.items())
        }
        groups = [{**group.settings(), "params": self._indices(n)} for n, group in enumerate(self.param_groups)]
        own = {index: dict(self.state[p]) for index, p in enumerate(self.params) if p in self.state}
        state = {"param_groups": groups, "steps": list(self.steps), "tensors": tensors}
        return {**state, "state": own} if own else state

    def _indices(self, number: int) -> list[int]:
        return [index for index, of in enumerate(self._group_of) if of == number]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` of an optimizer of the same class and parameters returned.

        A schedule of this optimizer may be made, or its state loaded, before or after this. Nothing is changed where
        it raises.

        Raises:
            TypeError: a setting that is no number, a step that is no int, a value among the tensors that is none.
            ValueError: other settings or some that the constructor would refuse, other groups or another number of
                parameters, tensors of another name or shape.
        """
        keys = ("param_groups", "steps", "tensors")
        expect_keys("an optimizer's state", state, (*keys, "state") if "state" in state else keys)
        own = self._checked_own(state.get("state", {}))
        settings = self._checked_groups(state["param_groups"])
        steps = self._checked_steps(state["steps"])
        slots = self._checked_slots(state["tensors"])
        # In place where there is one: a captured step goes on with the tensors that it was recorded with.
        for name, kept in self.slots.items():
            loaded = slots.setdefault(name, {})
            for index, tensor in kept.items():
                if index not in loaded:
                    loaded[index] = tensor.zero_()
                elif (tensor.dtype, tensor.backend) == (loaded[index].dtype, loaded[index].backend):
                    loaded[index] = tensor.copy_(loaded[index])
        for group, new in zip(self.param_groups, settings, strict=True):
            dict.update(group, new)
        self.steps[:], self.slots = steps, slots
        self.state.clear()
        self.state.update(own)

    def _checked_groups(self, groups: Any) -> list[Settings]:
        """The settings of each group of a state."""
        if not isinstance(groups, Sequence) or isinstance(groups, str):
            raise TypeError(f"the param_groups of a state must be a list of dicts; got {type(groups).__name__}")
        if len(groups) != len(self.param_groups):
            raise ValueError(f"the state has {len(groups)} parameter groups; this has {len(self.param_groups)}")
        found = []
        for number, (own, given) in enumerate(zip(self.param_groups, groups, strict=True)):
            expect_keys(f"parameter group {number} of a state of {type(self).__name__}", given, own)
            settings = {**given}
            if (params := settings.pop("params")) != self._indices(number):
                raise ValueError(
                    f"parameter group {number} of a state has the parameters {params}; this has {self._indices(number)}"
                )
            self.check(settings)
            found.append(settings)
        return found

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

    def _checked_own(self, own: Any) -> dict[Tensor, dict[str, Any]]:
        """The dicts that a subclass keeps, by parameter; tensors in memory of their own."""
        if not isinstance(own, Mapping) or not all(
            is_integer(index) and 0 <= index < len(self.params) and isinstance(kept, Mapping)
            for index, kept in own.items()
        ):
            raise TypeError(f"the state's own state must be a dict by the index of each parameter; got {own!r}")
        found = {}
        for index, kept in own.items():
            parameter = self.params[index]
            found[parameter] = {
                name: value.detach().to(parameter.backend).clone() if isinstance(value, Tensor) else value
                for name, value in kept.items()
            }
        return found

    def __repr__(self) -> str:
        groups = [
            f"{len(group['params'])} parameters, " + ", ".join(f"{name}={group[name]}" for name in self.defaults)
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(groups)})"
