"""Methods that register buffers, parameters and modules; assigning to an attribute does the same."""

from __future__ import annotations

from typing import Any

from stackgrad.tensor import Tensor
from stackgrad.tensor._errors import not_a_tensor

from ._assignment import Assigning
from .parameter import Buffer, Parameter


class Registering(Assigning):
    """The methods of `Module` that name a buffer, a parameter or a module."""

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Make `tensor` the buffer of that name, which moves with the module. None reserves the name for a buffer.

        Args:
            name: an attribute that does not exist yet, or a buffer's name.
            tensor: any dtype; the buffer shares its memory.
            persistent: whether it is saved.

        Raises:
            KeyError: a name that is already an attribute, is empty or has a dot.
            TypeError: a value that is neither a Tensor nor None.

        >>> layer = nn.Linear(2, 1)
        >>> layer.register_buffer("seen", zeros(1))
        >>> list(layer.state_dict())
        ['weight', 'bias', 'seen']
        """
        if tensor is not None and not isinstance(tensor, Tensor):
            raise not_a_tensor(f"register_buffer {name!r}", tensor, "a tensor or None")
        self._register(name, Buffer, None if tensor is None else Buffer(tensor))
        unsaved = self._unsaved() - {name}
        object.__setattr__(self, "_non_persistent", unsaved if persistent else unsaved | {name})

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make `param` the parameter of that name. None reserves the name for a parameter.

        Raises:
            KeyError: a name that is already an attribute, is empty or has a dot.
            TypeError: a value that is neither a Parameter nor None.

        >>> layer = nn.Module()
        >>> layer.register_parameter("scale", nn.Parameter(ones(1)))
        >>> list(layer.state_dict())
        ['scale']
        """
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter {name!r}: got {type(param).__name__}, expected an nn.Parameter or None"
            )
        self._register(name, Parameter, param)

    def add_module(self, name: str, module: Any) -> None:
        """Make `module` the module of that name. None reserves the name for a module.

        Raises:
            KeyError: a name that is already an attribute, is empty or has a dot.
            TypeError: a value that is neither a Module nor None.

        >>> model = nn.Module()
        >>> model.add_module("out", nn.Linear(2, 1))
        >>> list(model.state_dict())
        ['out.weight', 'out.bias']
        """
        if module is not None and not isinstance(module, Registering):
            raise TypeError(f"{type(self).__name__}: {name!r} must be a Module; got {type(module).__name__}")
        self._register(name, Assigning, module)

    register_module = add_module

    def _unsaved(self) -> frozenset[str]:
        """The names of the buffers that are not saved."""
        found: frozenset[str] = vars(self).get("_non_persistent", frozenset())
        return found

    def _register(self, name: str, role: type, value: Any) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise KeyError(f"{name!r} cannot name a member of a module: expected text without dots")
        own = vars(self)
        known = own[name] if own.get(name) is not None else own.get("_emptied", {}).get(name)
        if hasattr(type(self), name) or (name in own and not (isinstance(known, role) or known is role)):
            raise KeyError(f"{type(self).__name__} already has an attribute {name!r}: choose another name")
        object.__setattr__(self, name, value)
        if value is None:
            own["_emptied"] = {**own.get("_emptied", {}), name: role}
