"""The names of `torch.autograd`; the objects are those of `stackgrad.tensor`."""

from ._autograd import Function
from ._backward import grad
from ._mode import enable_grad, no_grad

__all__ = ["Function", "enable_grad", "grad", "no_grad"]
