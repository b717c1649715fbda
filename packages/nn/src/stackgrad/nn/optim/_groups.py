"""Parameter groups: parameters that share their settings."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from .._arguments import expect_tensor
from ..module import Module

Settings: TypeAlias = dict[str, Any]
"""The settings of an optimizer by name, such as "lr"."""

Params: TypeAlias = Iterable[Tensor] | Iterable[Mapping[str, Any]]
"""The argument of an optimizer: parameters, or groups of them, `{"params": ..., "lr": 0.1}`."""


class Group(dict[str, Any]):
    """An entry of `optimizer.param_groups`: "params", a tuple, and the settings by name.

    You may change a setting at any time; it is checked. In a captured function each replay sets it. Setting "lr" also
    sets "initial_lr", from which schedules start. Entries with other names belong to the user.
    """

    def __init__(self, params: tuple[Tensor, ...], settings: Settings, check: Callable[[Settings], None]) -> None:
        super().__init__(params=params, **settings)
        self._check = check

    def __setitem__(self, name: str, value: Any) -> None:
        if name == "params":
            raise ValueError("the parameters of a group stay the same: use optimizer.add_param_group(...)")
        settings = {**self.settings(), name: value}
        if name == "lr":
            settings["initial_lr"] = value
        self._check(settings)

        def change() -> None:
            dict.__setitem__(self, name, settings[name])
            if name == "lr":
                dict.__setitem__(self, "initial_lr", settings[name])

        sg.each_time(change, ahead=True)

    update = MutableMapping.update  # dict's own methods would not check
    setdefault = MutableMapping.setdefault

    def settings(self) -> Settings:
        """All entries except the parameters."""
        return {name: value for name, value in self.items() if name != "params"}

    def schedule(self, **settings: Any) -> None:
        """Change settings without a check, as a schedule does at each step; `initial_lr` does not change."""
        super().update(settings)

    def __reduce__(self) -> tuple[Any, ...]:
        return Group, (self["params"], self.settings(), self._check)


def groups_of(params: Params) -> Iterator[Mapping[str, Any]]:
    """The argument of an optimizer as groups. TypeError if it is neither parameters nor groups, ValueError if empty."""
    if isinstance(params, Module | Tensor | Mapping) or not isinstance(params, Iterable):
        raise TypeError(
            f"an optimizer takes several parameters, such as model.parameters(); got {type(params).__name__}"
        )
    found: list[Any] = list(params)
    if not found:
        raise ValueError("an optimizer needs at least one parameter; got none")
    if not isinstance(found[0], Mapping):
        found = [{"params": found}]
    for index, group in enumerate(found):
        if not isinstance(group, Mapping):
            raise TypeError(f"parameter group {index} must be a dict with params; got {type(group).__name__}")
        yield group


def make_group(
    given: Mapping[str, Any], defaults: Settings, check: Callable[[Settings], None], taken: Iterable[Tensor]
) -> Group:
    """A group of the given parameters and settings, completed by the defaults; `taken` are in other groups."""
    if not isinstance(given, Mapping) or "params" not in given:
        raise TypeError(f"a parameter group is a dict with params, a list of tensors; got {given!r}")
    for name in given:
        close = difflib.get_close_matches(str(name), [*defaults, "params"], 1, 0.8)
        if name not in (*defaults, "params", "initial_lr", "name") and close:
            raise ValueError(f"a parameter group has the setting {name!r}: did you mean {close[0]!r}?")
    settings = {**defaults, **given}
    params = settings.pop("params")
    if "lr" in settings:
        settings.setdefault("initial_lr", settings["lr"])
    check(settings)
    return Group(_checked([params] if isinstance(params, Tensor) else params, taken), settings, check)


def _checked(params: Any, taken: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The parameters, each a leaf of a float dtype, given once."""
    if isinstance(params, Module | str) or not isinstance(params, Iterable):
        raise TypeError(f"the params of a group are tensors, such as model.parameters(); got {type(params).__name__}")
    found = tuple(params)
    for index, parameter in enumerate(found):
        expect_tensor(f"parameter {index}", parameter)
        if not parameter.is_leaf:
            raise ValueError(
                f"parameter {index} must be a leaf, not computed from other tensors; its shape is {parameter.shape}"
            )
        if parameter.dtype.kind != "f":
            raise TypeError(f"parameter {index} must have dtype float32 or float64; got {parameter.dtype}")
    ids = [id(parameter) for parameter in (*taken, *found)]
    if len(set(ids)) != len(ids):
        raise ValueError("a parameter was given twice; each must be given once")
    return found
