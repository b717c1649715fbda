"""Parameters and buffers: the tensors that a module owns."""

from typing import Any, Self

from stackgrad.tensor import Tensor

from ._arguments import expect_tensor


class Parameter(Tensor):
    """A tensor that a module trains. It shares the memory of `tensor`, without its history.

    Args:
        tensor: any shape, float32 or float64.
        requires_grad: False makes a frozen parameter, which is saved but not trained.

    Raises:
        TypeError: an argument that is not a Tensor; integers or bools with `requires_grad`.

    >>> nn.Parameter(tensor([1.0, 2.0])).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, tensor: Tensor, requires_grad: bool = True) -> None:
        expect_tensor("a Parameter's value", tensor)
        super().__init__(tensor.data, tensor.backend, tensor.version)
        self.source = tensor.detach().source
        self.requires_grad_(requires_grad)

    def __repr__(self) -> str:
        return f"{type(self).__name__} containing:\n{super().__repr__()}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Support deepcopy and pickle. As in PyTorch, the copy has no gradient."""
        restore, (*state, _grad), *attributes = super().__reduce__()
        return restore, (*state, None), *attributes


class Buffer(Tensor):
    """A tensor that is saved with its module but not trained, such as a running mean. It shares the memory of `tensor`.

    A plain Tensor among a module's attributes is not saved, such as an activation kept for inspection.

    Raises:
        TypeError: an argument that is not a Tensor.

    >>> model = nn.Module()
    >>> model.mean = nn.Buffer(zeros(1))
    >>> list(model.state_dict()), list(model.parameters())
    (['mean'], [])
    """

    __slots__ = ()

    def __init__(self, tensor: Tensor) -> None:
        expect_tensor("a Buffer's value", tensor)
        super().__init__(tensor.data, tensor.backend, tensor.version)
        self.source = tensor.detach().source

    @classmethod
    def of(cls, tensor: Tensor) -> Self:
        """A buffer that keeps the history of `tensor`, so that gradients flow through it as in PyTorch.

        >>> weight = nn.Parameter(ones(1))
        >>> nn.Buffer.of(weight * 2).requires_grad
        True
        """
        buffer = cls(tensor)
        buffer.requires_grad, buffer.node, buffer.source = tensor.requires_grad, tensor.node, tensor.source
        return buffer


def reaches_parameter(tensor: Tensor) -> bool:
    """Whether a tensor's gradient reaches a Parameter; true also for a history that backward has freed."""
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
