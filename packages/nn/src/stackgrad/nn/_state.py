"""Replacement of the values of a module's tensors, which stay the same objects."""

from collections.abc import Mapping, Set
from typing import NamedTuple

import numpy as np

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor
from stackgrad.tensor._errors import not_a_tensor


class UnmatchedKeys(NamedTuple):
    """The names that a state lacks, and those that it has beside the module's."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"UnmatchedKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def replace(member: Tensor, value: Tensor) -> None:
    """Give `member` the memory and backend of `value`; earlier results can no longer run backward through it."""
    if value.data is member.data and value.backend is member.backend:
        return
    count = member.version.count
    member.data, member.backend, member.version, member.source = value.data, value.backend, value.version, value.source
    member.version.count = count + 1
    _end_history(member)


def load(
    owner: str, own: Mapping[str, Tensor], ignored: Set[str], state: Mapping[str, Tensor], strict: bool
) -> UnmatchedKeys:
    """Copy `state` into the tensors of the same names; `own` may hold a tensor twice. See `load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"the state of {owner} must map names to tensors, as nn.load returns; got {type(state).__name__}"
        )
    for name, value in state.items():
        if name in own and not isinstance(value, Tensor):
            raise not_a_tensor(f"the state of {owner}: {name}", value)
    names: dict[int, list[str]] = {}
    for name, member in own.items():
        names.setdefault(id(member), []).append(name)
    given = {key: [name for name in alike if name in state] for key, alike in names.items()}
    problems = [
        f"{name} has shape {state[name].shape}, expected {own[name].shape}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    problems += [
        f"{name} is in read-only memory: create it from a clone()"
        for name, member in own.items()
        if name in state and not _is_writable(member)
    ]
    problems += [
        f"{first} and {name} are one tensor of {owner}, but have different values"
        for first, *others in filter(None, given.values())
        for name in others
        if not _equal(state[first], state[name])
    ]
    missing = [name for key, alike in names.items() if not given[key] for name in alike]
    unexpected = [str(name) for name in state if name not in own and name not in ignored]
    if strict and missing:
        problems.append(f"missing: {', '.join(missing)}")
    if strict and unexpected:
        problems.append(f"unexpected: {', '.join(unexpected)}")
    if problems:
        raise ValueError(f"the state does not fit {owner}: {'; '.join(problems)}")
    values = [
        (own[first], state[first].detach().to(own[first].backend).astype(own[first].dtype))
        for first, *_ in filter(None, given.values())
    ]
    with sg.no_grad():
        for member, value in values:
            member.copy_(value)
            _end_history(member)
    return UnmatchedKeys(missing, unexpected)


def _end_history(member: Tensor) -> None:
    if member.node is not None:  # only a buffer has one
        member.source, member.node = member.detach().source, None
        member.requires_grad = False


def _is_writable(x: Tensor) -> bool:
    expanded = any(stride == 0 and extent > 1 for stride, extent in zip(x.data.strides, x.shape, strict=True))
    return x.backend.is_writable(x.data) and not expanded


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.data is b.data or a.shape != b.shape:  # different shapes are reported separately
        return True
    return np.array_equal(a.detach().numpy(), b.detach().numpy(), equal_nan=True)
