"""Modules: functions of tensors that own parameters.

    class Perceptron(Module):
        def __init__(self) -> None:
            self.hidden = Linear(2, 8)
            self.out = Linear(8, 1)

        def forward(self, input: Tensor) -> Tensor:
            return self.out(self.hidden(input).relu())

There is no registration: what a module owns is found by walking its attributes in the order of their definition.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import stackgrad.tensor as sg
from stackgrad.tensor import Backend, Tensor


class Parameter(Tensor):
    """A tensor that a module trains. It shares the memory of the tensor it is made from, and requires a gradient.

    Raises:
        TypeError: a tensor of integers or bools.
    """

    __slots__ = ()

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(tensor.data, tensor.backend, tensor.version)
        self.requires_grad_()


class Buffer(Tensor):
    """A tensor that is saved with its module and not trained: a running mean, say. It shares the given one's memory.

    A plain Tensor among a module's attributes is neither: it is not saved (an activation kept for a look at it).
    """

    __slots__ = ()

    def __init__(self, tensor: Tensor) -> None:
        super().__init__(tensor.data, tensor.backend, tensor.version)


Member = TypeVar("Member")


class Module:
    """The base of all layers and models. A subclass defines `forward`; it need not call `super().__init__()`.

    The module owns each Parameter, Buffer and Module among its attributes, also inside lists and tuples, and what those
    modules own. Names are the path: "layers.0.weight". What is reached by two paths has the first one's name.
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The module's function; called by calling the module."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.forward(*args, **kwargs)

    # ------------------------------------------------------------------------------------------------ what it owns

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Each parameter once, with its name, in the order of definition."""
        return self._named(Parameter)

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter once, in the order of definition."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Each buffer once, with its name."""
        return self._named(Buffer)

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, named "", and each module below it once, outer before inner."""
        yield "", self
        yield from self._named(Module)

    def modules(self) -> Iterator[Module]:
        """This module and each one below it, once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules among this module's own attributes, lists and tuples included, by every name they have here."""
        return ((name, member) for name, member in _members(vars(self).items()) if isinstance(member, Module))

    def children(self) -> Iterator[Module]:
        """The modules of `named_children`."""
        return (module for _, module in self.named_children())

    def _named(self, kind: type[Member]) -> Iterator[tuple[str, Member]]:
        return ((name, member) for name, member in _walk(self, "", {id(self)}) if isinstance(member, kind))

    # ------------------------------------------------------------------------------------------------------ changes

    def train(self, mode: bool = True) -> Self:
        """Sets `training` here and below (dropout and batch norm look at it); returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """`train(False)`."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Drops the gradient of every parameter."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, backend: str | Backend) -> Self:
        """Moves parameters and buffers to a backend; they stay the same objects, without gradients. Returns self."""
        for _, member in _walk(self, "", {id(self)}):
            if isinstance(member, Tensor):
                moved = member.detach().to(backend)
                member.data, member.backend, member.version = moved.data, moved.backend, moved.version
                member.grad = None
        return self

    # -------------------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, in the order of definition.

        They share the module's memory: `clone` what is to be kept while training goes on.
        """
        return {name: member.detach() for name, member in self._named(Tensor)}

    def load_state_dict(self, state: Mapping[str, Tensor], strict: bool = True) -> None:
        """Copies values into the parameters and buffers of the same names; nothing is changed where it raises.

        Args:
            state: name -> tensor of the same shape; of any dtype and backend.
            strict: raise for names that are missing or unexpected; otherwise those are passed over.

        Raises:
            ValueError: missing or unexpected names, shapes that differ; all of them are named.
        """
        own = dict(self._named(Tensor))
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        problems = [
            f"{name} has shape {state[name].shape}, expected {member.shape}"
            for name, member in own.items()
            if name in state and state[name].shape != member.shape
        ]
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        if problems:
            raise ValueError(f"the state does not fit {type(self).__name__}: {'; '.join(problems)}")
        with sg.no_grad():
            for name, member in own.items():
                if name in state:
                    member.copy_(state[name].detach().to(member.backend).astype(member.dtype))

    # ---------------------------------------------------------------------------------------------------- for people

    def extra_repr(self) -> str:
        """What stands between the parentheses of the representation, before the modules below."""
        return ""

    def __repr__(self) -> str:
        below = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        if not below:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [self.extra_repr(), *below] if self.extra_repr() else below
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"

    # Hidden from type checkers, which would take it to mean that a module has every attribute.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            message = f"{type(self).__name__!r} has no attribute {name!r}"
            close = [] if name.startswith("__") else difflib.get_close_matches(name, dir(self), 1)
            raise AttributeError(message + "".join(f"; did you mean {match!r}?" for match in close))


def _members(items: Iterable[tuple[object, object]]) -> Iterator[tuple[str, object]]:
    """The parameters, buffers and modules among named values; those inside lists and tuples get "name.index"."""
    for name, value in items:
        if isinstance(value, Parameter | Buffer | Module):
            yield str(name), value
        elif isinstance(value, list | tuple):
            yield from ((f"{name}.{inner}", member) for inner, member in _members(enumerate(value)))


def _walk(module: Module, prefix: str, seen: set[int]) -> Iterator[tuple[str, object]]:
    """What the module owns, depth first, each object once."""
    for name, member in _members(vars(module).items()):
        if id(member) in seen:
            continue
        seen.add(id(member))
        yield prefix + name, member
        if isinstance(member, Module):
            yield from _walk(member, f"{prefix}{name}.", seen)
