"""Parameters and buffers: the tensors that a module owns."""

from typing import Any, Self

from stackgrad.tensor import Tensor

from ._arguments import expect_tensor


class Parameter(Tensor):
    """A tensor that a module trains. It shares the memory of the tensor it is made from, without its history.

    Args:
        tensor: any shape, float32 or float64.
        requires_grad: False makes a frozen one, as `requires_grad_(False)` does later: saved, but not trained.

    Raises:
        TypeError: an argument that is not a Tensor; a tensor of integers or bools that shall require a gradient.
    """

    __slots__ = ()

    def __init__(self, tensor: Tensor, requires_grad: bool = True) -> None:
        expect_tensor("a Parameter's value", tensor)
        super().__init__(tensor.data, tensor.backend, tensor.version)
        self.source = tensor.detach().source
        self.requires_grad_(requires_grad)

    def __reduce__(self) -> tuple[Any, ...]:
        """What deepcopy and pickle go by: the copy has no gradient, as in PyTorch."""
        restore, (*state, _grad), *attributes = super().__reduce__()
        return restore, (*state, None), *attributes


class Buffer(Tensor):
    """A tensor that is saved with its module and not trained: a running mean, say. It shares the given one's memory.

    A plain Tensor among a module's attributes is neither: it is not saved (an activation kept for a look at it).

    Raises:
        TypeError: an argument that is not a Tensor.
    """

    __slots__ = ()

    def __init__(self, tensor: Tensor) -> None:
        expect_tensor("a Buffer's value", tensor)
        super().__init__(tensor.data, tensor.backend, tensor.version)
        self.source = tensor.detach().source

    @classmethod
    def of(cls, tensor: Tensor) -> Self:
        """A buffer for `tensor` with its history, so that gradients flow through it as PyTorch lets them."""
        buffer = cls(tensor)
        buffer.requires_grad, buffer.node, buffer.source = tensor.requires_grad, tensor.node, tensor.source
        return buffer


def reaches_parameter(tensor: Tensor) -> bool:
    """Whether a tensor's gradient flows to a Parameter; true of a history that backward has freed."""
    todo: list[Any] = [tensor.node or tensor]
    seen: set[int] = set()
    while todo:
        edge = todo.pop()
        if isinstance(edge, Parameter):
            return True
        if edge is None or id(edge) in seen or isinstance(edge, Tensor):
            continue
        seen.add(id(edge))
        if edge.freed:
            return True
        todo.extend(edge.edges)
    return False
