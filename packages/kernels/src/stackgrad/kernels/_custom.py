"""map, zip and reduce with a user's function of scalars, compiled and run in parallel on the CPU or a GPU.

The function is plain Python that Numba can compile, or one that Numba knows, such as `math.exp` or `operator.add`.
It is compiled once per process and not cached on disk, because it may depend on anything. If a gradient is needed, it
runs as a fused function of tensors, provided that the op table has all it calls (see _differentiable); otherwise it
raises RuntimeError: detach the input, or call it in the forward of a Function.
On a GPU, `v ** w` of two integers is exact up to 2^53 unless `w` is a constant: numba-cuda goes through float64.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from stackgrad.tensor import Tensor, concatenate, full, is_recording
from stackgrad.tensor._ops import common_backend
from stackgrad.tensor._shape import broadcast_shapes, normalize_dim
from stackgrad.tensor._types import Scalar

from ._differentiable import of_tensors
from .cpu._custom import CustomKernels, NotAScalarError
from .cpu._replay import ChunkError

if TYPE_CHECKING:
    from .cuda._custom import CustomKernels as KernelsOnGpu


def map(fn: Callable[[Scalar], Scalar]) -> Callable[[Tensor], Tensor]:
    """Return an operation that applies `fn` to each element of a tensor and keeps shape and dtype.

    It raises TypeError if Numba cannot compile `fn`, with Numba's reason, and RuntimeError if `fn` raises.
    """
    scalar = _Scalar("map", fn, 1)
    return lambda x: scalar.elementwise(x)


def zip(fn: Callable[[Scalar, Scalar], Scalar]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return an operation that applies `fn` to the elements of two tensors of the same dtype, which broadcast.

    It raises TypeError if Numba cannot compile `fn` or if dtypes differ, ValueError for shapes that do not broadcast,
    and RuntimeError if `fn` raises.
    """
    scalar = _Scalar("zip", fn, 2)
    return lambda x, y: scalar.elementwise(x, y)


def reduce(fn: Callable[[Scalar, Scalar], Scalar], start: Scalar) -> Callable[..., Tensor]:
    """Return an operation that folds a tensor by `fn` along a dimension, beginning with `start`.

    Call it as `operation(x, dim, keepdim=False)`. `fn` must be associative and commutative: elements are folded in
    pieces of fixed length and the pieces are folded together, so the result does not depend on the number of threads.
    It raises TypeError if Numba cannot compile `fn`, IndexError for a dimension out of range, and RuntimeError if `fn`
    raises.
    """
    scalar = _Scalar("reduce", fn, 2)

    def operation(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
        scalar.check(x)
        dim = normalize_dim(dim, x.ndim)
        if not x.ndim:
            return operation(x.reshape(1), 0)
        shape = (*x.shape[:dim], 1, *x.shape[dim + 1 :])
        x = concatenate([full(shape, start, dtype=x.dtype, backend=x.backend), x], dim)
        if scalar.needs_gradient(x):
            out = _fold_by_halves(scalar, x, dim)
        else:
            out = scalar.run(lambda kernels, data: kernels.reduce(data, (dim,)), x)
        return out.unsqueeze(dim) if keepdim else out

    return operation


def _fold_by_halves(scalar: _Scalar, x: Tensor, dim: int) -> Tensor:
    """x folded along `dim`, which must not be empty, by operations that have gradients."""
    whole = (slice(None),) * dim
    while (extent := x.shape[dim]) > 1:
        half = extent // 2
        parts = [x[(*whole, slice(i, j))] for i, j in ((0, half), (half, 2 * half), (2 * half, extent))]
        x = scalar.with_gradient(parts[0], parts[1])
        if extent % 2:
            x = concatenate([x, parts[2]], dim)
    return x.squeeze(dim)


def _on_host(x: Tensor) -> bool:
    return isinstance(x.data, np.ndarray)


def _scalars(count: int) -> str:
    return "one scalar" if count == 1 else "two scalars"


_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # which Numba adds if colorama is installed
_STEP = re.compile(r"Failed in \w+ mode pipeline \(step: nopython frontend\)\n")


class _Scalar:
    """A user's function of `arity` scalars, for the operation `what`."""

    def __init__(self, what: str, fn: Callable[..., Scalar], arity: int) -> None:
        if not callable(fn):
            raise TypeError(f"{what} of {fn!r}: expected a function of {_scalars(arity)}")
        self.what, self.arity = what, arity
        self.name = getattr(fn, "__name__", repr(fn))
        self.identifier = self.name if self.name.isidentifier() else "custom"
        self._end_of_reason = "\nDuring:" if isinstance(fn, FunctionType) else "\nFile"
        self._fn = fn
        self._checked: set[tuple[bool, np.dtype[Any]]] = set()

    @cached_property
    def _of_tensors(self) -> Callable[..., Tensor]:
        return of_tensors(self._fn)

    @cached_property
    def _on_cpu(self) -> CustomKernels:
        return CustomKernels(self.identifier, self._fn, self.arity)

    @cached_property
    def _on_gpu(self) -> KernelsOnGpu:
        from .cuda._custom import CustomKernels  # it needs numba-cuda

        return CustomKernels(self.identifier, self._fn, self.arity)

    def _kernels_for(self, x: Tensor) -> CustomKernels | KernelsOnGpu:
        return self._on_cpu if _on_host(x) else self._on_gpu

    def elementwise(self, *tensors: Tensor) -> Tensor:
        """Apply the function to the elements of tensors."""
        self.check(*tensors)
        if self.needs_gradient(*tensors):
            return self.with_gradient(*tensors)
        return self.run(lambda kernels, *data: kernels.elementwise(*data), *tensors)

    def needs_gradient(self, *tensors: Tensor) -> bool:
        """Whether a gradient must flow to one of these."""
        return is_recording() and any(x.requires_grad for x in tensors)

    def with_gradient(self, *tensors: Tensor) -> Tensor:
        """Apply the function to the elements of tensors, with a gradient."""
        try:
            return self._of_tensors(*tensors)
        except (TypeError, ValueError) as error:  # ValueError: a branch on many elements
            raise RuntimeError(
                f"{self.what} of {self.name}: a tensor of shape {tensors[0].shape} requires a gradient, but the "
                f"function has none: pass .detach(), or call it in the forward of a stackgrad.tensor.Function ({error})"
            ) from None

    def run(self, work: Callable[..., Any], *tensors: Tensor) -> Tensor:
        """A tensor of the result of `work`, which gets the kernels and the data of these tensors."""
        try:
            return tensors[0].new(work(self._kernels_for(tensors[0]), *[x.data for x in tensors]))
        except ChunkError:
            raise RuntimeError(
                f"{self.what}: {self.name} raised an exception for some element: call it with Python scalars to see it"
            ) from None

    def check(self, *tensors: Tensor) -> None:
        """Raise TypeError unless these are tensors on the host or a GPU, of a dtype that the function compiles for."""
        for x in tensors:
            if not isinstance(x, Tensor):
                raise TypeError(f"{self.what} of {type(x).__name__}: expected a tensor")
            if not _on_host(x) and x.backend.name != "cuda":
                raise TypeError(
                    f"{self.what}: tensor on backend {x.backend.name!r}: expected one on the host or 'cuda'; "
                    "use .to('cpu')"
                )
        x = tensors[0]
        if not all(_on_host(x) for x in tensors):
            common_backend(self.what, *tensors)
        if len(tensors) == 2:
            if x.dtype != tensors[1].dtype:
                raise TypeError(
                    f"{self.what}: tensors of {x.dtype} and {tensors[1].dtype}: expected one dtype; use .astype(...)"
                )
            broadcast_shapes(*[x.shape for x in tensors])
        if (_on_host(x), x.dtype) not in self._checked:
            self._compile(x)
            self._checked.add((_on_host(x), x.dtype))

    def _compile(self, x: Tensor) -> None:
        """Compile it for the dtype and the device of `x`."""
        from numba.core.errors import NumbaError

        try:
            self._kernels_for(x).compile(x.dtype)
        except (NumbaError, TypeError) as error:  # TypeError for the wrong number of parameters
            # After "During" it names Numba's own steps; "File" is this file if the function has no source.
            reason = _COLOUR.sub("", str(error)).partition(self._end_of_reason)[0]
            reason = _STEP.sub("", reason).strip()
            arguments_in_words = f"{_scalars(self.arity)} of {x.dtype}"
            raise TypeError(
                f"{self.what}: Numba cannot compile {self.name} as a function of {arguments_in_words}\n{reason}"
            ) from None
        except NotAScalarError as error:
            raise TypeError(f"{self.what}: {self.name} gives {error} for {x.dtype}: expected a real number") from None
