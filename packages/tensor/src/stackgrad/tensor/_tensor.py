"""Tensor: an array on a backend, its operations as methods, and its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _backward, _indexing, _matmul, _ops, _views
from ._backend import Backend
from ._casts import Casts
from ._checks import expect_operands
from ._comparing import Comparing
from ._diagonals import Diagonals
from ._dtypes import as_dtype, is_float
from ._errors import not_a_tensor
from ._exchange import Exchange
from ._formulas import Formulas
from ._graph import Graphed
from ._inplace import InPlace
from ._norms import Norms
from ._picking import Picking
from ._plans import Layout
from ._products import Products
from ._rearranging import Rearranging
from ._shape import checked, extents
from ._shaping import Shaping
from ._size import Size
from ._sorting import Sorting
from ._types import Array, Operand
from ._value import Value, Version


class Tensor(
    InPlace,
    Formulas,
    Norms,
    Sorting,
    Picking,
    Shaping,
    Rearranging,
    Diagonals,
    Products,
    Comparing,
    Casts,
    Exchange,
    Graphed,
):
    """An n-dimensional array of one dtype on one backend.

    Create one with `tensor`, `from_numpy`, `zeros` and the like. `data` is the backend's own array: read it, do not
    write to it. With `requires_grad`, `backward` on anything computed from it adds to `grad`.

    >>> x = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([[2., 4.],
            [6., 8.]])
    """

    __slots__ = ()

    def new(self, data: Array, version: Version | None = None, layout: Layout | None = None) -> Tensor:
        return Tensor(data, self.backend, version, layout)

    # --- what it is

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it, rather than a recorded operation: gradients end at leaves.

        >>> x = tensor([1.0], requires_grad=True)
        >>> x.is_leaf, (x * 2).is_leaf
        (True, False)
        """
        return not self.requires_grad or self.node is None

    @property
    def owns_memory(self) -> bool:
        """Whether it is in C order and not a view of another tensor.

        >>> x = ones(2, 3)
        >>> x.owns_memory, x[0].owns_memory
        (True, False)
        """
        return self.backend.owns_memory(self.data) and self.backend.is_contiguous(self.data)

    @property
    def size(self) -> Size:
        """The number of elements, as in NumPy; when called, the shape, as in PyTorch: x.size(), x.size(0).

        >>> x = ones(2, 3)
        >>> x.size, x.size(), x.size(0)
        (6, (2, 3), 2)
        """
        return Size(self.shape)

    def dim(self) -> int:
        """The number of dimensions: `ndim`.

        >>> ones(2, 3).dim()
        2
        """
        return self.ndim

    def is_floating_point(self) -> bool:
        """Whether its dtype is float32 or float64.

        >>> tensor([1]).is_floating_point()
        False
        """
        return is_float(self.dtype)

    def __repr__(self) -> str:
        values = np.array2string(self.read("repr"), separator=", ", prefix="tensor(")
        notes = "" if self.data.size else f", shape={self.shape}"
        notes += "" if self.dtype in (np.float32, np.int64, np.bool_) else f", dtype={self.dtype}"
        notes += "" if self.backend.name in ("numpy", "cpu") else f", backend={self.backend.name!r}"
        return f"tensor({values}{notes}{', requires_grad=True' if self.requires_grad else ''})"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("a tensor of no dimensions has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    __hash__ = object.__hash__

    # --- new ones like it

    def new_full(
        self,
        size: int | Sequence[int],
        fill_value: Operand,
        dtype: DTypeLike | None = None,
        requires_grad: bool = False,
    ) -> Tensor:
        """`fill_value` in the shape `size`, on the same backend and in the same dtype unless one is given.

        >>> tensor([1, 2]).new_full((2,), 7)
        tensor([7, 7])
        """
        expect_operands("new_full", fill_value)
        value = fill_value.item() if isinstance(fill_value, Value) else fill_value
        found = self.dtype if dtype is None else as_dtype(dtype)
        return self.new(self.backend.full(checked(extents((size,))), value, found)).requires_grad_(requires_grad)

    def new_zeros(self, *size: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
        """Zeros, as `new_full`. Pass the shape as separate ints or one sequence.

        >>> tensor([1, 2]).new_zeros(3)
        tensor([0, 0, 0])
        """
        return self.new_full(extents(size), 0, dtype, requires_grad)

    def new_ones(self, *size: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
        """Ones, as `new_full`. Pass the shape as separate ints or one sequence.

        >>> tensor([1, 2]).new_ones(3)
        tensor([1, 1, 1])
        """
        return self.new_full(extents(size), 1, dtype, requires_grad)

    def new_empty(self, *size: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
        """Uninitialised values, as `new_full`. Pass the shape as separate ints or one sequence.

        >>> tensor([1, 2]).new_empty(2, 3).shape
        (2, 3)
        """
        found = self.dtype if dtype is None else as_dtype(dtype)
        return self.new(self.backend.empty(checked(extents(size)), found)).requires_grad_(requires_grad)

    # --- gradients

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor. Raises TypeError unless its dtype is float32 or float64.

        >>> tensor([1.0]).requires_grad_()
        tensor([1.], requires_grad=True)
        """
        self.requires_grad = requires_grad
        return self

    def backward(self, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this tensor to the `grad` of every leaf it was made from.

        `gradient`, of this tensor's shape and dtype, weights its elements; a tensor of one element has a default, 1.
        The graph is freed unless `retain_graph` or `create_graph`; with `create_graph` the gradients can be
        differentiated again. Raises RuntimeError if nothing requires a gradient or the graph was freed.

        >>> x = tensor([3.0], requires_grad=True)
        >>> (x * x).backward()
        >>> x.grad
        tensor([6.])
        """
        _backward.backward(self, gradient, retain_graph, create_graph)

    def __reduce__(self) -> tuple[Any, ...]:
        """Support copy, deepcopy and pickle: the values in new memory, `requires_grad` and `grad`.

        Copies of tensors that share memory do not share it. Attributes of a subclass are kept. Raises RuntimeError for
        a tensor with a history, which cannot be copied.
        """
        if self.node is not None:
            raise RuntimeError("copy or pickle of a tensor that was computed and has a history: call .detach() first")
        array = np.array(self.read("copy or pickle of a tensor"))
        attributes = getattr(self, "__dict__", None)
        parts = (type(self), array, self.backend, self.requires_grad, self.grad)
        return (_restore, parts, attributes) if attributes else (_restore, parts)

    def __copy__(self) -> Tensor:
        return deepcopy(self)  # copies grad, too

    def detach(self) -> Tensor:
        """The same memory without its history.

        >>> (tensor([1.0], requires_grad=True) * 2).detach().requires_grad
        False
        """
        return _views.detached(self)

    def clone(self) -> Tensor:
        """A copy in C order, through which gradients flow.

        >>> x = tensor([1, 2])
        >>> x.clone().zero_(), x
        (tensor([0, 0]), tensor([1, 2]))
        """
        return _ops.Copy.apply(self)

    def __getitem__(self, key: Any) -> Tensor:
        return _indexing.get(self, key)

    def matmul(self, other: Tensor) -> Tensor:
        """The matrix product; a 1-d operand is a row (left) or a column (right), and leading dimensions broadcast.

        >>> ones(2, 3).matmul(ones(3, 4)).shape
        (2, 4)
        """
        if not isinstance(other, Tensor):
            raise not_a_tensor("matmul", other)
        return _matmul.matmul(self, other)

    __matmul__ = matmul

    def __rmatmul__(self, other: object) -> Tensor:
        raise not_a_tensor("matmul", other)


def _restore(
    cls: type[Tensor], array: NDArray[Any], backend: Backend, requires_grad: bool, grad: Tensor | None
) -> Tensor:
    """The inverse of `Tensor.__reduce__`."""
    out = cls.__new__(cls)
    writable = array if array.flags.writeable else array.copy()  # a pickle's buffers may be read-only memory
    Value.__init__(out, backend.from_numpy(writable), backend)
    out.requires_grad, out.grad = requires_grad, grad
    return out
