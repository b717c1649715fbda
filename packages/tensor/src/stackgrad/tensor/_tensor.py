"""Tensor: an array on a backend, its operations as methods, and its gradient."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from types import ModuleType
from typing import Any, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _backward, _indexing, _matmul, _ops, _views
from ._backend import Array, Backend, DType, get_backend
from ._casts import Casts
from ._comparing import Comparing
from ._device import Name, device, on
from ._diagonals import Diagonals
from ._dtypes import as_dtype, is_float
from ._errors import dtype_of, not_a_tensor
from ._formulas import Formulas
from ._graph import Graphed
from ._host import HostBackend
from ._inplace import InPlace
from ._norms import Norms
from ._ops import Operand
from ._picking import Picking
from ._plans import Layout
from ._products import Products
from ._rearranging import Rearranging
from ._reductions import NumPyNames, named_dims, one_dim
from ._shape import Dims, Shape, checked, normalize_dim, normalize_dims, resolve_shape
from ._size import Size
from ._sorting import Sorting
from ._value import Value, Version

find_namespace: Callable[[], ModuleType] | None = None  # set by the package, whose functions build on this module


class Tensor(InPlace, Formulas, Norms, Sorting, Picking, Rearranging, Diagonals, Products, Comparing, Casts, Graphed):
    """An n-dimensional array of one dtype on one backend.

    Create one with `tensor`, `from_numpy`, `zeros` and the like. `data` is the backend's own array: read it, do not
    write to it. With `requires_grad`, `backward` on anything computed from it adds to `grad`.
    """

    __slots__ = ()

    def new(self, data: Array, version: Version | None = None, layout: Layout | None = None) -> Tensor:
        return Tensor(data, self.backend, version, layout)

    # --- what it is

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it, rather than a recorded operation: gradients end at leaves."""
        return not self.requires_grad or self.node is None

    @property
    def owns_memory(self) -> bool:
        """Whether it is in C order and not a view of another tensor."""
        return self.backend.owns_memory(self.data) and self.backend.is_contiguous(self.data)

    @property
    def size(self) -> Size:
        """The number of elements, as in NumPy; when called, the shape, as in PyTorch: x.size(), x.size(0)."""
        return Size(self.shape)

    def dim(self) -> int:
        """The number of dimensions: `ndim`."""
        return self.ndim

    def is_floating_point(self) -> bool:
        """Whether its dtype is float32 or float64."""
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

    # --- out to Python, NumPy and other backends

    def numpy(self) -> NDArray[Any]:
        """The values: a read-only view if the backend uses host memory, else a copy.

        Raises RuntimeError for a tensor that requires a gradient: call detach() first.
        """
        if self.requires_grad:
            raise RuntimeError("numpy() of a tensor that requires a gradient: call .detach().numpy()")
        view: NDArray[Any] = self.read("numpy()").view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if not isinstance(self.backend, HostBackend):
            raise TypeError(
                f"NumPy was given a tensor on backend {self.backend.name!r}: "
                "bring it over with .to('cpu'), or copy it with .numpy()"
            )
        return np.array(self.numpy(), dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        """The memory as a DLPack capsule, without a copy; `options` are those of the DLPack standard.

        Raises BufferError for a tensor that requires a gradient: call detach() first.
        """
        if self.requires_grad:
            raise BufferError("__dlpack__ of a tensor that requires a gradient: call .detach() first")
        return self.read("__dlpack__()", lambda data: data.__dlpack__(**options))

    def __dlpack_device__(self) -> tuple[int, int]:
        """The DLPack type and index of the device: (1, 0) for the host."""
        device: tuple[int, int] = self.data.__dlpack_device__()
        return device

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The memory for libraries that share GPU memory by this protocol. Only tensors on a GPU have it."""
        if self.requires_grad:
            raise AttributeError("__cuda_array_interface__ of a tensor that requires a gradient: call .detach() first")
        found: dict[str, Any] = self.read("__cuda_array_interface__", lambda data: data.__cuda_array_interface__)
        return found

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars."""
        return self.read("tolist()").tolist()

    def __format__(self, spec: str) -> str:
        """Format a tensor without dimensions as its value: f"{loss:.4f}". Others, like lists, accept no format."""
        return format(self.item(), spec) if not self.ndim else super().__format__(spec)

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ValueError(f"a tensor of shape {self.shape} is neither true nor false: expected one element")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if is_float(self.dtype):
            raise TypeError(f"a tensor of dtype {self.dtype} is not an index: expected int64 or bool")
        return int(self.item())

    def to(
        self,
        *targets: str | Backend | DType | type | Tensor,
        device: Name = None,
        dtype: DTypeLike | None = None,
        non_blocking: bool = False,
    ) -> Tensor:
        """The same values on another backend, in another dtype, or with both taken from a tensor; gradients flow back.

        A positional string names a backend; a positional dtype is an object such as float32. Host backends share
        memory. `non_blocking` has no effect. Raises as `get_backend`, and TypeError for other dtypes.
        """
        out = self
        for target in (*targets, device):
            if isinstance(target, Tensor):
                out = out.to(target.backend).astype(target.dtype)
            elif not isinstance(target, str) and (found := dtype_of(target)) is not None:
                out = out.astype(found)
            elif target is not device or device is not None:
                backend = get_backend(on(None, target))  # type: ignore[arg-type]
                out = out if backend is out.backend else _ops.To.apply(out, backend)
        return out if dtype is None else out.astype(dtype)

    @property
    def device(self) -> device:
        """The name of its backend, as a PyTorch-like device."""
        return device(self.backend.name)

    def to_device(self, device: str | Backend, /, *, stream: None = None) -> Tensor:
        """The name of `to` in the array API standard."""
        return self.to(device)

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """The module `stackgrad.tensor.array_api`: the supported part of the array API standard."""
        assert find_namespace is not None
        return find_namespace()

    def cpu(self) -> Tensor:
        """Itself if it is on a host backend, else the same values on "cpu"."""
        return self if isinstance(self.backend, HostBackend) else self.to("cpu")

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The values as `dtype`; itself if that is its dtype already. Raises TypeError for other dtypes."""
        return _ops.cast(self, as_dtype(dtype))

    # --- new ones like it

    def new_full(
        self,
        size: int | Sequence[int],
        fill_value: Operand,
        dtype: DTypeLike | None = None,
        requires_grad: bool = False,
    ) -> Tensor:
        """`fill_value` in the shape `size`, on the same backend and in the same dtype unless one is given."""
        value = fill_value.item() if isinstance(fill_value, Value) else fill_value
        found = self.dtype if dtype is None else as_dtype(dtype)
        return self.new(self.backend.full(checked(extents((size,))), value, found)).requires_grad_(requires_grad)

    def new_zeros(self, *size: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
        """Zeros, as `new_full`. Pass the shape as separate ints or one sequence."""
        return self.new_full(extents(size), 0, dtype, requires_grad)

    def new_ones(self, *size: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
        """Ones, as `new_full`. Pass the shape as separate ints or one sequence."""
        return self.new_full(extents(size), 1, dtype, requires_grad)

    def new_empty(self, *size: Any, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
        """Uninitialised values, as `new_full`. Pass the shape as separate ints or one sequence."""
        found = self.dtype if dtype is None else as_dtype(dtype)
        return self.new(self.backend.empty(checked(extents(size)), found)).requires_grad_(requires_grad)

    # --- gradients

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and return the tensor. Raises TypeError unless its dtype is float32 or float64."""
        self.requires_grad = requires_grad
        return self

    def backward(self, gradient: Tensor | None = None, retain_graph: bool = False, create_graph: bool = False) -> None:
        """Add the gradient of this tensor to the `grad` of every leaf it was made from.

        `gradient`, of this tensor's shape and dtype, weights its elements; a tensor of one element has a default, 1.
        The graph is freed unless `retain_graph` or `create_graph`; with `create_graph` the gradients can be
        differentiated again. Raises RuntimeError if nothing requires a gradient or the graph was freed.
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
        """The same memory without its history."""
        return _views.detached(self)

    def clone(self) -> Tensor:
        """A copy in C order, through which gradients flow."""
        return _ops.Copy.apply(self)

    # --- shape

    def reshape(self, *shape: Any) -> Tensor:
        """The elements, in C order, in another shape; one extent may be -1. A view if possible, else a copy."""
        return self._another(_views.reshape(self, resolve_shape(extents(shape), self.data.size)))

    def view(self, *shape: Any) -> Tensor:
        """As reshape, but always a view: a write to one shows in the other.

        Raises ValueError where PyTorch does, for example after a transpose. PyTorch's results are in C order: if this
        memory is not, the view uses a copy in C order, and every write to one is repeated in the other.
        """
        return self._another(_views.view(self, resolve_shape(extents(shape), self.data.size)))

    def _another(self, view: Tensor) -> Tensor:
        """`view`, or if that is this tensor itself a new view of it, with its own `requires_grad` and `grad`."""
        return _ops.Permute.apply(self, tuple(range(self.ndim))) if view is self else view

    def view_as(self, other: Tensor) -> Tensor:
        """As `view`, in the shape of `other`."""
        return self.view(other.shape)

    def reshape_as(self, other: Tensor) -> Tensor:
        """As `reshape`, in the shape of `other`."""
        return self.reshape(other.shape)

    def expand_as(self, other: Tensor) -> Tensor:
        """As `expand`, to the shape of `other`."""
        return self.expand(other.shape)

    def ravel(self) -> Tensor:
        """The elements in C order, in one dimension; a view if possible, else a copy."""
        return self.reshape(-1)

    def permute(self, *dims: Any) -> Tensor:
        """The view whose dimension i is this tensor's dimension dims[i]."""
        order = tuple(normalize_dim(d, self.ndim) for d in extents(dims))
        if sorted(order) != list(range(self.ndim)):
            raise ValueError(f"permute {extents(dims)} of shape {self.shape}: expected each of {self.ndim} dims once")
        return _ops.Permute.apply(self, order)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """The view with two dimensions exchanged."""
        order = list(range(self.ndim))
        a, b = normalize_dim(dim0, self.ndim), normalize_dim(dim1, self.ndim)
        if order:
            order[a], order[b] = b, a
        return _ops.Permute.apply(self, tuple(order))

    @property
    def T(self) -> Tensor:
        """The view with the order of dimensions reversed."""
        return _ops.Permute.apply(self, tuple(range(self.ndim))[::-1])

    def expand(self, *shape: Any) -> Tensor:
        """The view that repeats dimensions of extent 1 and adds leading ones; -1 keeps an extent."""
        wanted = extents(shape)
        new = len(wanted) - self.ndim
        full = tuple(self.shape[i - new] if extent == -1 and i >= new else extent for i, extent in enumerate(wanted))
        if (
            new < 0
            or any(old not in (1, extent) for old, extent in zip(self.shape, full[new:], strict=True))
            or min(full, default=0) < 0
        ):
            raise ValueError(f"expand of shape {self.shape} to {wanted}: only extents of 1 can grow")
        return self._another(_ops.expand(self, full))

    def squeeze(self, dim: Dims = None, **names: Unpack[NumPyNames]) -> Tensor:
        """The view without the dimensions of extent 1, or without those among `dim` (or `axis`)."""
        if names:
            dim = named_dims("squeeze", dim, names)
        dims = normalize_dims(dim, self.ndim)
        kept = tuple(n for i, n in enumerate(self.shape) if n != 1 or i not in dims)
        return self._another(_views.reshape(self, kept))

    def unsqueeze(self, dim: int | None = None, **names: Unpack[NumPyNames]) -> Tensor:
        """The view with a new dimension of extent 1 at `dim` (or `axis`)."""
        dim = one_dim("unsqueeze", dim, names)
        at = normalize_dim(dim, self.ndim + 1)
        return _views.reshape(self, (*self.shape[:at], 1, *self.shape[at:]))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The dimensions from `start_dim` to `end_dim`, inclusive, merged into one."""
        first, last = normalize_dim(start_dim, self.ndim), normalize_dim(end_dim, self.ndim)
        if first > last:
            raise ValueError(f"flatten from dim {start_dim} to {end_dim}: the first comes after the last")
        merged = math.prod(self.shape[first : last + 1])
        return _views.reshape(self, (*self.shape[:first], merged, *self.shape[last + 1 :]))

    def __getitem__(self, key: Any) -> Tensor:
        return _indexing.get(self, key)

    def matmul(self, other: Tensor) -> Tensor:
        """The matrix product; a 1-d operand is a row (left) or a column (right), and leading dimensions broadcast."""
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


def extents(shape: tuple[Any, ...], size: Sequence[int] | None = None) -> Shape:
    """The shape passed as f(2, 3), f((2, 3)) or f(size=(2, 3)). Raises TypeError for anything but integers."""
    if size is not None:
        if shape:
            raise TypeError(f"both a shape, {shape}, and size={size}: they mean the same; pass one")
        shape = (size,)
    given = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    return tuple([operator.index(extent) for extent in given])
