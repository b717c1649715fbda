"""Modules: objects that compute a tensor from tensors, and own parameters.

    class Perceptron(Module):
        def __init__(self) -> None:
            self.hidden = Linear(2, 8)
            self.out = Linear(8, 1)

        def forward(self, input: Tensor) -> Tensor:
            return self.out(self.hidden(input).relu())

No registration is needed: a module finds what it owns by walking its attributes in the order of their definition.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_functions
from stackgrad.tensor._hooks import Handle

from . import _state
from ._changing import Changing
from ._containers import find_in
from ._hooks import Hooks
from ._registration import Registering
from ._state import UnmatchedKeys
from .parameter import Buffer, Parameter, reaches_parameter
from .summary import html


class Module(Changing, Registering):
    """The base of all layers and models. A subclass defines `forward`; it need not call `super().__init__()`.

    The module owns each Parameter, Buffer and Module among its attributes, also inside lists, tuples and dicts, and
    what those modules own. A name is a path: "layers.0.weight", "heads.left.weight". A parameter that has two paths is
    one parameter, named by the first; the state holds it under both names.

    A module may keep other tensors among its attributes. But a tensor that requires a gradient and is neither a
    Parameter nor computed from one is never trained or saved: `parameters` and `state_dict` raise TypeError.

    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         self.factor = nn.Parameter(tensor([2.0]))
    ...     def forward(self, input):
    ...         return input * self.factor
    >>> Scale()(ones(3)).tolist()
    [2.0, 2.0, 2.0]
    """

    training: bool = True
    ignored_state: tuple[str, ...] = ()
    """Names that `load_state_dict` ignores because other programs save them, although the module does not own them."""
    _hooks: Hooks | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, member in find_in(vars(cls).items(), _is_member):
            raise TypeError(
                f"{cls.__name__}.{name} is a {type(member).__name__} of the class, which its instances would share "
                "and not own: create it in __init__"
            )

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the output. Call the module rather than this method, so that hooks run."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return self._hooks.invoke(self, args, kwargs)  # type: ignore[no-any-return]

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call hook(module, args, output) after each forward. A result other than None replaces the output.

        Returns:
            A handle, whose `remove()` removes the hook.

        >>> layer = nn.Linear(2, 1)
        >>> handle = layer.register_forward_hook(lambda layer, args, out: print(out.shape))
        >>> out = layer(ones(3, 2))
        (3, 1)
        """
        expect_functions("register_forward_hook", hook=hook)
        return Handle(self._with_hooks().after, hook)

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call hook(module, args) before each forward. A result other than None replaces the arguments.

        Returns:
            A handle, whose `remove()` removes the hook.

        >>> layer = nn.Linear(2, 1)
        >>> handle = layer.register_forward_pre_hook(lambda layer, args: print(args[0].shape))
        >>> out = layer(ones(3, 2))
        (3, 2)
        """
        expect_functions("register_forward_pre_hook", hook=hook)
        return Handle(self._with_hooks().before, hook)

    def _with_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    # ------------------------------------------------------------------------------------------------ members

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Each parameter once, with its name, in the order of definition.

        >>> [name for name, _ in nn.Sequential(nn.Linear(2, 1)).named_parameters()]
        ['0.weight', '0.bias']
        """
        return ((name, tensor) for name, tensor in self._tensors() if isinstance(tensor, Parameter))

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter once, in the order of definition.

        >>> [parameter.shape for parameter in nn.Linear(2, 1).parameters()]
        [(1, 2), (1,)]
        """
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Buffer]]:
        """Each buffer once, with its name.

        >>> [name for name, _ in nn.BatchNorm1d(2).named_buffers()]
        ['running_mean', 'running_var']
        """
        return ((name, tensor) for name, tensor in self._tensors() if isinstance(tensor, Buffer))

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """This module, named "", and each module below it once, outer before inner.

        >>> [name for name, _ in nn.Sequential(nn.Linear(2, 1)).named_modules()]
        ['', '0']
        """
        yield "", self
        yield from ((name, member) for name, member in _walk(self, once=True) if isinstance(member, Module))

    def modules(self) -> Iterator[Module]:
        """This module and each one below it, once.

        >>> list(nn.Sequential(nn.Tanh()).modules())[1]
        Tanh()
        """
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules among this module's own attributes, also in lists and dicts, under each of their names here.

        >>> list(nn.Sequential(nn.Tanh()).named_children())
        [('0', Tanh())]
        """
        return ((name, member) for name, member in _members(self) if isinstance(member, Module))

    def children(self) -> Iterator[Module]:
        """The modules of `named_children`.

        >>> list(nn.Sequential(nn.Tanh()).children())
        [Tanh()]
        """
        return (module for _, module in self.named_children())

    def get_submodule(self, target: str) -> Module:
        """The module at the path `target`, such as "layers.0.norm"; "" is this module.

        Raises:
            AttributeError: there is no such module.

        >>> nn.Sequential(nn.Sequential(nn.Tanh())).get_submodule("0.0")
        Tanh()
        """
        for path, member in [("", self), *_walk(self, once=False)]:
            if path == target and isinstance(member, Module):
                return member
        raise AttributeError(f"{type(self).__name__} has no module {target!r}")

    def _tensors(self, once: bool = True) -> Iterator[tuple[str, Parameter | Buffer]]:
        """The parameters and buffers here and below; each once, or under each of its names."""
        for name, member in _walk(self, once):
            if isinstance(member, Parameter | Buffer):
                yield name, member
            elif isinstance(member, Tensor) and not reaches_parameter(member):
                raise TypeError(
                    f"{name!r} of {type(self).__name__} is a tensor of shape {member.shape} that requires a gradient "
                    "and is not a Parameter: it would be neither trained nor saved; make it nn.Parameter(...), or "
                    "keep its .detach()"
                )

    # -------------------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers by name, in the order of definition; a tensor with two names appears under both.

        They share the module's memory: `clone` what you keep while training continues.

        Raises:
            ValueError: two tensors with the same name.

        >>> list(nn.Linear(2, 1).state_dict())
        ['weight', 'bias']
        """
        return {name: member.detach() for name, member in self._by_name().items()}

    def load_state_dict(self, state: Mapping[str, Tensor], strict: bool = True) -> UnmatchedKeys:
        """Copy values into the parameters and buffers of the same names. If it raises, nothing has changed.

        Args:
            state: name -> tensor of the same shape, of any dtype and backend. For a parameter with several names, one
                is enough.
            strict: raise for names that are missing or unexpected; otherwise ignore them.

        Returns:
            The lists `missing_keys` and `unexpected_keys`, which have names only if `strict` is false.

        Raises:
            TypeError: a state that is not a mapping, a value that is not a Tensor.
            ValueError: missing or unexpected names, shapes that differ, different values for one parameter with
                several names, a parameter in read-only memory; the message lists them all.

        >>> nn.Linear(2, 1).load_state_dict({"weight": ones(1, 2), "bias": ones(1)})
        <All keys matched successfully>
        """
        ignored = self._paths(lambda module: module.ignored_state)
        return _state.load(type(self).__name__, self._by_name(), ignored, state, strict)

    def _paths(self, names: Callable[[Module], Iterable[str]]) -> set[str]:
        """The paths of these names in this module and each one below it."""
        return {
            f"{path}.{name}".removeprefix(".")
            for path, module in [("", self), *_walk(self, once=False)]
            if isinstance(module, Module)
            for name in names(module)
        }

    def _by_name(self) -> dict[str, Parameter | Buffer]:
        """The saved parameters and buffers."""
        found: dict[str, Parameter | Buffer] = {}
        unsaved = self._paths(Module._unsaved)
        for name, member in self._tensors(once=False):
            if name in unsaved:
                continue
            if found.setdefault(name, member) is not member:
                raise ValueError(f"two tensors of {type(self).__name__} have the name {name!r}: rename one")
        return found

    # ------------------------------------------------------------------------------------------------ representation

    def extra_repr(self) -> str:
        """The text between the parentheses of the representation, before the modules below.

        >>> nn.Linear(2, 1).extra_repr()
        '2, 1'
        """
        return ""

    def __repr__(self) -> str:
        below = [f"({name}): {child!r}".replace("\n", "\n  ") for name, child in self.named_children()]
        if not below:
            return f"{type(self).__name__}({self.extra_repr()})"
        lines = [self.extra_repr(), *below] if self.extra_repr() else below
        return "\n  ".join([f"{type(self).__name__}(", *lines]) + "\n)"

    def _repr_html_(self) -> str:
        return html(self)

    # Hidden from type checkers, which would otherwise conclude that a module has every attribute.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            message = f"{type(self).__name__!r} has no attribute {name!r}"
            close = [] if name.startswith("__") else difflib.get_close_matches(name, dir(self), 1)
            raise AttributeError(message + "".join(f"; did you mean {match!r}?" for match in close))


def _is_member(value: object) -> bool:
    return isinstance(value, Parameter | Buffer | Module) or (isinstance(value, Tensor) and value.requires_grad)


def _members(module: Module) -> Iterator[tuple[str, Any]]:
    """A module's own parameters, buffers and modules, and other tensors that require a gradient."""
    return find_in(vars(module).items(), _is_member)


def _walk(module: Module, once: bool, prefix: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """The members here and below, depth first; each once, or under each name (a module inside itself is left out)."""
    seen = {id(module)} if seen is None else seen
    for name, member in _members(module):
        if id(member) in seen:
            continue
        seen.add(id(member))
        yield prefix + name, member
        if isinstance(member, Module):
            yield from _walk(member, once, f"{prefix}{name}.", seen)
        if not once:
            seen.discard(id(member))
