"""The base of the optimizers, which update parameters in place by the gradients in `parameter.grad`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_functions
from stackgrad.tensor._window import is_integer

from .._arguments import expect_keys, expect_tensor, flag, not_negative, whole
from ._groups import Group, Params, Settings, groups_of, make_group


def setting(name: str) -> Any:
    """A property that reads a setting of the first group and writes it to all groups."""

    def read(self: Any) -> Any:
        return self.param_groups[0][name]

    def write(self: Any, value: Any) -> None:
        for group in self.param_groups:
            group[name] = value

    return property(read, write)


class _Absent:
    """Hides an attribute of the base class."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        raise AttributeError


class Optimizer:
    """Holds the parameters in groups, the settings of each group, and state tensors for each parameter.

    A parameter's first step creates its state tensors with its backend and dtype: move a module with `to` or `astype`
    before that. A parameter whose `grad` is None is skipped, such as a frozen one. A subclass defines `update`, and
    `check` for the settings that it adds.

    Args:
        params: parameters, or groups of them: `[{"params": body}, {"params": head, "lr": 0.1}]`;
            `defaults` holds the settings that a group omits.
        defaults: the settings by name, including "lr".

    Attributes:
        param_groups: a dict for each group, with "params", its settings, and "initial_lr": the learning rate last set
            by the constructor or by the user, from which schedules start.
        lr, initial_lr and the other settings: read from the first group; written to all groups.
        params: all parameters, in the order given.
        steps: the number of steps that each parameter has taken.
        state: for a subclass with its own `step`, a dict for each parameter, of tensors, numbers and text.

    Raises:
        TypeError: a parameter that is not a Tensor, a setting of the wrong type.
        ValueError: no parameters, a parameter that is given twice or is not a leaf, an invalid setting.

    >>> class Plain(optim.Optimizer):
    ...     def update(self, group, indices, params, grads):
    ...         for parameter, grad in zip(params, grads):
    ...             parameter.detach().sub_(grad, alpha=group["lr"])
    >>> optimizer = Plain(nn.Linear(2, 1).parameters(), {"lr": 0.1})
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
        """Add parameters with their own settings, `{"params": ..., "lr": ...}`; raises as the constructor.

        >>> optimizer = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
        >>> optimizer.add_param_group({"params": nn.Linear(1, 1).parameters(), "lr": 0.01})
        >>> len(optimizer.param_groups)
        2
        """
        group = make_group(param_group, self.defaults, self.check, self.params)
        count = len(group["params"])
        self._group_of += [len(self.param_groups)] * count
        self.param_groups.append(group)
        self.params += group["params"]
        self.steps += [0] * count

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Convert numeric settings to floats. Raises TypeError or ValueError for an invalid setting."""
        for name in ("lr", "initial_lr", "weight_decay"):
            if name in settings:
                settings[name] = not_negative(name, settings[name])
        if "maximize" in settings:
            settings["maximize"] = flag("maximize", settings["maximize"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set every gradient to None, or to zeros.

        >>> layer = nn.Linear(2, 1)
        >>> layer(ones(3, 2)).sum().backward()
        >>> optim.SGD(layer.parameters(), lr=0.1).zero_grad()
        >>> print(layer.weight.grad)
        None
        """
        for parameter in self.params:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.zero_()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update each parameter that has a gradient.

        Args:
            closure: computes and returns the loss, and computes the gradients, before the update.

        Returns:
            The result of the closure; None without one.

        >>> weight = nn.Parameter(ones(1))
        >>> (weight * 2).sum().backward()
        >>> optim.SGD([weight], lr=0.5).step()
        >>> weight.tolist()
        [0.0]
        """
        loss = None
        if closure is not None:
            expect_functions("step", closure=closure)
            with sg.enable_grad():
                loss = closure()
        params, steps, group_of = self.params, self.steps, self._group_of
        grads = [parameter.grad for parameter in params]
        indices = [index for index, grad in enumerate(grads) if grad is not None]
        sg.depends_on(self._dependencies)

        def count_steps() -> None:
            for index in indices:
                steps[index] += 1

        sg.each_time(count_steps, ahead=True)
        alike: dict[tuple[int, int], list[int]] = {}
        if len(self.param_groups) == 1 and len(set(steps)) == 1 and indices:  # the usual case
            alike[0, steps[0]] = indices
        else:
            for index in indices:
                alike.setdefault((group_of[index], steps[index]), []).append(index)
        for (group_index, _), chosen in alike.items():
            group = self.param_groups[group_index]
            chosen_grads: list[Any] = [grads[index] for index in chosen]
            if group.get("maximize"):
                chosen_grads = [-grad for grad in chosen_grads]
            self.update(group, chosen, [params[index] for index in chosen], chosen_grads)
        return loss

    def _dependencies(self) -> tuple[object, ...]:
        """The dependencies of a captured step. Replays read settings and step counts themselves."""
        used = [bool(group[name]) for group in self.param_groups for name in self.defaults if name != "lr"]
        return (*self.params, *used, *map(self.steps.index, self.steps))

    __captured__ = _dependencies

    def __init_subclass__(cls) -> None:
        if "step" in vars(cls):  # capture finds the dependencies in its code
            cls.__captured__ = _Absent()  # type: ignore[assignment]

    def update(self, group: Group, indices: list[int], params: list[Tensor], grads: list[Tensor]) -> None:
        """Update `params`, some parameters of a group, at `indices` among all parameters.

        All have taken the same number of steps, including this one.
        """
        raise NotImplementedError(f"{type(self).__name__} must define update")

    def numbers(self, make: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """The values that `make` computes from settings and steps; in a captured function, each replay calls it."""
        kept: list[NDArray[np.float64]] = []

        def write() -> None:
            values = make()
            if kept:
                np.copyto(kept[0], values)
            else:
                kept.append(values)

        sg.each_time(write, ahead=True)
        return kept[0]

    def slot(self, name: str, indices: list[int], first: float = 0.0) -> list[Tensor]:
        """The state tensor of this name for each of these parameters, initially filled with `first`.

        A name that starts with "_" marks working memory, which `state_dict` omits.
        """
        kept = self.slots.setdefault(name, {})

        def make() -> None:
            for index in indices:
                if index not in kept:
                    like = self.params[index]
                    kept[index] = sg.full(like.shape, first, dtype=like.dtype, backend=like.backend)

        if not all(map(kept.__contains__, indices)):
            sg.each_time(make, ahead=True)  # not recorded: replays would overwrite the state
        sg.depends_on(lambda: tuple(map(self.slots.get(name, {}).get, indices)))
        return [kept[index] for index in indices]

    def state_dict(self) -> dict[str, Any]:
        """The state from which training can resume; `save` accepts it as it is.

        Returns:
            "param_groups": for each group its settings, including "initial_lr", and as "params" the indices of its
            parameters; "steps": one int per parameter; "tensors": "slot.index" -> Tensor, which shares memory with the
            optimizer; "state", if a subclass has one: index -> dict.

        >>> optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1).state_dict()["steps"]
        [0, 0]
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

    def _indices(self, group_index: int) -> list[int]:
        return [index for index, group in enumerate(self._group_of) if group == group_index]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state that `state_dict` of an optimizer with the same class and parameters returned.

        You may create a schedule of this optimizer, or load its state, before or after this. If it raises, nothing has
        changed.

        Raises:
            TypeError: a setting that is not a number, a step that is not an int, a state tensor that is not a Tensor.
            ValueError: different settings, or ones that the constructor rejects; different groups or parameter count;
                tensors of a different name or shape.

        >>> first, second = (optim.SGD(nn.Linear(2, 1).parameters(), lr=lr) for lr in (0.1, 0.2))
        >>> second.load_state_dict(first.state_dict())
        >>> second.lr
        0.1
        """
        keys = ("param_groups", "steps", "tensors")
        expect_keys(
            "an optimizer's state", state, (*keys, "state") if isinstance(state, Mapping) and "state" in state else keys
        )
        own = self._checked_own(state.get("state", {}))
        settings = self._checked_groups(state["param_groups"])
        steps = self._checked_steps(state["steps"])
        slots = self._checked_slots(state["tensors"])
        # In place if possible: a captured step keeps using the tensors that it was recorded with.
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
        """Check and return the settings of each group of a state."""
        if not isinstance(groups, Sequence) or isinstance(groups, str):
            raise TypeError(f"the param_groups of a state must be a list of dicts; got {type(groups).__name__}")
        if len(groups) != len(self.param_groups):
            raise ValueError(f"the state has {len(groups)} parameter groups; this has {len(self.param_groups)}")
        found = []
        for position, (own, given) in enumerate(zip(self.param_groups, groups, strict=True)):
            expect_keys(f"parameter group {position} of a state of {type(self).__name__}", given, own)
            settings = {**given}
            if (params := settings.pop("params")) != self._indices(position):
                raise ValueError(
                    f"parameter group {position} of a state has the parameters {params}; this has "
                    f"{self._indices(position)}"
                )
            self.check(settings)
            found.append(settings)
        return found

    def _checked_steps(self, steps: Any) -> list[int]:
        if not isinstance(steps, Sequence) or isinstance(steps, str):
            raise TypeError(f"the steps of a state must be a list of ints; got {type(steps).__name__}")
        if len(steps) != len(self.params):
            raise ValueError(f"the state has {len(steps)} parameters; this has {len(self.params)}")
        return [whole("a step of a state", value) for value in steps]

    def _checked_slots(self, tensors: Any) -> dict[str, dict[int, Tensor]]:
        """Check and copy the tensors of a state, by slot and index."""
        if not isinstance(tensors, Mapping):
            raise TypeError(f"the tensors of a state must be a dict by name; got {type(tensors).__name__}")
        slots: dict[str, dict[int, Tensor]] = {}
        for key, tensor in tensors.items():
            name, _, index = str(key).rpartition(".")
            if not (name and index.isdecimal() and int(index) < len(self.params)):
                raise ValueError(f"state tensor {key!r} is not named slot.index, with index below {len(self.params)}")
            expect_tensor(f"state tensor {key!r}", tensor)
            parameter = self.params[int(index)]
            if tensor.shape != parameter.shape:
                raise ValueError(f"state tensor {key!r} has shape {tensor.shape}; the parameter has {parameter.shape}")
            kept = tensor.detach().astype(parameter.dtype).to(parameter.backend).clone()
            slots.setdefault(name, {})[int(index)] = kept
        return slots

    def _checked_own(self, own: Any) -> dict[Tensor, dict[str, Any]]:
        """Check and copy the dicts that a subclass keeps, by parameter."""
        if not isinstance(own, Mapping) or not all(
            is_integer(index) and 0 <= index < len(self.params) and isinstance(kept, Mapping)
            for index, kept in own.items()
        ):
            raise TypeError(f"the entry 'state' of a state must be a dict by parameter index; got {own!r}")
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
