"""Modules that hold modules: in a sequence, in a list or by name."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from stackgrad.tensor import Tensor
from stackgrad.tensor._checks import expect_ints

from .._arguments import several
from ..module import Module


def _module(owner: Module, name: object, value: object) -> Module:
    """`value`. TypeError unless it is a module: None would have a name, but not be an item."""
    if not isinstance(value, Module):
        raise TypeError(f"{type(owner).__name__}: {str(name)!r} must be a Module; got {type(value).__name__}")
    return value


class _Ordered(Module):
    """The base of the ordered containers. Names are "0", "1" and so on unless others were given."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def _held(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def _replace(self, modules: Mapping[str, Module]) -> None:
        for name in self._held():
            object.__delattr__(self, name)
        for name, module in modules.items():
            self.add_module(name, _module(self, name, module))

    def _name(self, index: int) -> str:
        names = list(self._held())
        expect_ints(type(self).__name__, index=index)
        position = operator.index(index)
        if not -len(names) <= position < len(names):
            raise IndexError(f"index {position} is out of range for a {type(self).__name__} of {len(names)} modules")
        return names[position]

    def __iter__(self) -> Iterator[Module]:
        return iter([value for value in vars(self).values() if isinstance(value, Module)])

    def __len__(self) -> int:
        return len(self._held())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> Module | Self:
        """The module at that index, or the modules of a slice as a container of the same class."""
        if isinstance(index, slice):
            return type(self)(self._sliced(index))
        return self._held()[self._name(index)]

    def _sliced(self, index: slice) -> Any:
        return list(self)[index]

    def __setitem__(self, index: int, module: Module) -> None:
        name = self._name(index)
        setattr(self, name, _module(self, name, module))

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._replace(_by_index(modules))

    def append(self, module: Module) -> Self:
        """Add a module at the end; return self.

        Raises:
            TypeError: an argument that is not a Module.

        >>> len(nn.ModuleList().append(nn.Tanh()))
        1
        """
        name = str(len(self))
        self.add_module(name, _module(self, name, module))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end; return self. Raises as `append`.

        >>> len(nn.ModuleList().extend([nn.Tanh(), nn.ReLU()]))
        2
        """
        for module in several(f"the modules of a {type(self).__name__}", modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Insert a module before that index, and rename all by index; return self. Raises as `append`.

        >>> nn.ModuleList([nn.Tanh()]).insert(0, nn.ReLU())[0]
        ReLU()
        """
        expect_ints(type(self).__name__, index=index)
        modules = list(self)
        modules.insert(index, _module(self, index, module))
        self._replace(_by_index(modules))
        return self

    def pop(self, index: int = -1) -> Module:
        """Remove a module and return it; rename the others by index.

        >>> nn.ModuleList([nn.Tanh(), nn.ReLU()]).pop()
        ReLU()
        """
        module = self[index]
        del self[index]
        return module


class ModuleList(_Ordered):
    """Modules in a list, with parameters named "0.weight", "1.weight" and so on. It has no forward.

    A plain list also works; this class has the methods of PyTorch's.

    Raises:
        TypeError: an argument that is not a Module.

    >>> [layer.weight.shape for layer in nn.ModuleList([nn.Linear(2, 3), nn.Linear(3, 1)])]
    [(3, 2), (1, 3)]
    """

    def __add__(self, others: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *others])


class Sequential(_Ordered):
    """Each module's output is the next one's input. Parameters are named "0.weight", "0.bias", "1.weight" and so on.

    Args:
        modules: modules, or one dict of them by name.

    Raises:
        TypeError: an argument that is not a Module.

    >>> nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))(ones(3, 2)).shape
    (3, 1)
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            self._replace(modules[0])
            return
        for index, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"argument {index} of Sequential must be a Module; got {type(module).__name__}")
            self.add_module(str(index), module)

    def _sliced(self, index: slice) -> Any:
        return dict(list(self._held().items())[index])  # keeps the names

    def forward(self, input: Tensor) -> Tensor:
        for module in self:
            input = module(input)
        return input


class ModuleDict(Module):
    """Modules by name, with parameters named "left.weight", "right.weight". It has no forward.

    Args:
        modules: a mapping from names to modules, or (name, module) pairs.

    Raises:
        TypeError: an argument that is not a Module.
        KeyError: a name that is an attribute of the class, such as "keys", or contains a dot.

    >>> nn.ModuleDict({"left": nn.Linear(2, 1)})["left"].weight.shape
    (1, 2)
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self.update(modules)

    def _held(self) -> dict[str, Module]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Module)}

    def __getitem__(self, name: str) -> Module:
        if not isinstance(name, str):
            raise TypeError(f"a ModuleDict holds modules by name; got {name!r}")
        return self._held()[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, _module(self, name, module))

    def __delitem__(self, name: str) -> None:
        self[name]  # raises KeyError
        delattr(self, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held())

    def __len__(self) -> int:
        return len(self._held())

    def __contains__(self, name: object) -> bool:
        return name in self._held()

    def keys(self) -> Iterable[str]:
        """The names, in order.

        >>> list(nn.ModuleDict({"left": nn.Tanh()}).keys())
        ['left']
        """
        return self._held().keys()

    def values(self) -> Iterable[Module]:
        """The modules, in order.

        >>> list(nn.ModuleDict({"left": nn.Tanh()}).values())
        [Tanh()]
        """
        return self._held().values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """(name, module) pairs, in order.

        >>> list(nn.ModuleDict({"left": nn.Tanh()}).items())
        [('left', Tanh())]
        """
        return self._held().items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules by name, replacing those of the same names.

        >>> heads = nn.ModuleDict()
        >>> heads.update({"left": nn.Tanh()})
        >>> list(heads.keys())
        ['left']
        """
        try:
            named = dict(modules)
        except (TypeError, ValueError):
            raise TypeError(f"ModuleDict takes modules by name, in a mapping or pairs; got {modules!r}") from None
        for name, module in named.items():
            self[name] = module

    def pop(self, name: str) -> Module:
        """Remove a module and return it. Raises KeyError if there is none of that name.

        >>> nn.ModuleDict({"left": nn.Tanh()}).pop("left")
        Tanh()
        """
        module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Remove all modules.

        >>> heads = nn.ModuleDict({"left": nn.Tanh()})
        >>> heads.clear()
        >>> len(heads)
        0
        """
        for name in self._held():
            del self[name]


def _by_index(modules: Iterable[Module]) -> dict[str, Module]:
    return {str(index): module for index, module in enumerate(modules)}
