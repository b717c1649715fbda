"""Methods of a module that change all that it owns: its mode, its gradients, its backend and its dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

import stackgrad.tensor as sg
from stackgrad.tensor import Backend, Tensor
from stackgrad.tensor._checks import expect_functions

from . import _state
from .parameter import Buffer, Parameter

if TYPE_CHECKING:
    from .module import Module


class Changing:
    """The methods of `Module` that change the modules, parameters and buffers here and below, and return it."""

    if TYPE_CHECKING:  # what Module finds

        def parameters(self) -> Iterator[Parameter]: ...
        def modules(self) -> Iterator[Module]: ...
        def children(self) -> Iterator[Module]: ...
        def _tensors(self) -> Iterator[tuple[str, Parameter | Buffer]]: ...

    def train(self, mode: bool = True) -> Self:
        """Set `training` here and below (dropout and batch norm read it); return self.

        Raises:
            TypeError: a mode that is not a bool.

        >>> nn.Dropout(0.5).train(False).training
        False
        """
        if not isinstance(mode, bool):
            raise TypeError(f"train takes a bool; got {type(mode).__name__}")

        def switch() -> None:
            for module in self.modules():
                module.training = mode

        sg.each_time(switch)
        return self

    def eval(self) -> Self:
        """`train(False)`.

        >>> nn.Dropout(0.5).eval().training
        False
        """
        return self.train(False)

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` with each module below, inner before outer, and with this one; return self.

        >>> model = nn.Sequential(nn.Linear(2, 1)).apply(lambda module: print(type(module).__name__))
        Linear
        Sequential
        """
        expect_functions("apply", fn=fn)
        for child in self.children():
            child.apply(fn)
        fn(self)  # type: ignore[arg-type]  # a Module
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Set `requires_grad` of every parameter; return self.

        >>> nn.Linear(2, 1).requires_grad_(False).weight.requires_grad
        False
        """
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Set the gradient of every parameter to None.

        >>> nn.Linear(2, 1).zero_grad()
        """
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, backend: str | Backend) -> Self:
        """Move parameters, their gradients and buffers to a backend; they stay the same objects. Returns self.

        Raises:
            TypeError: an argument that is not a backend; for a dtype there is `astype`.

        >>> nn.Linear(2, 1).to("numpy").weight.backend
        <numpy backend>
        """
        sg.get_backend(backend)
        return self._each(lambda tensor: tensor.to(backend))

    def astype(self, dtype: Any) -> Self:
        """Convert parameters, their gradients and buffers to a dtype; they stay the same objects. Returns self.

        Buffers of integers and bools stay as they are. An optimizer keeps tensors of a parameter's dtype: create it, or
        take its first step, afterwards.

        Raises:
            TypeError: a dtype other than float32 and float64.

        >>> nn.Linear(2, 1).astype(float64).weight.dtype
        dtype('float64')
        """
        try:
            wanted = np.dtype(dtype)
        except TypeError:
            raise TypeError(f"a module has float32 or float64 tensors; got {dtype!r}") from None
        if wanted not in (sg.float32, sg.float64):
            raise TypeError(f"a module has float32 or float64 tensors; got {wanted}")
        return self._each(lambda tensor: tensor.astype(wanted) if tensor.dtype.kind == "f" else tensor)

    def float(self) -> Self:
        """`astype(float32)`.

        >>> nn.Linear(2, 1).double().float().weight.dtype
        dtype('float32')
        """
        return self.astype(sg.float32)

    def double(self) -> Self:
        """`astype(float64)`.

        >>> nn.Linear(2, 1).double().weight.dtype
        dtype('float64')
        """
        return self.astype(sg.float64)

    def cpu(self) -> Self:
        """Move tensors that are not on a host backend to "cpu"; return self.

        >>> layer = nn.Linear(2, 1).cpu()
        """
        return self._each(lambda tensor: tensor.cpu())

    def _each(self, convert: Callable[[Tensor], Tensor]) -> Self:
        for _, member in list(self._tensors()):
            _state.replace(member, convert(member.detach()))
            if member.grad is not None:
                member.grad = convert(member.grad.detach())
        return self
