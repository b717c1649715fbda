"""The protocol that a backend implements.

A backend computes on its own arrays. Its callers have already checked the operands: they have one dtype, their shapes
broadcast, and dimensions count from the front. It never sees a tensor and knows nothing of gradients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _composed_norm
from ._host_buffer import HostBuffer
from ._installed import Named
from ._optable import OPS, REDUCTIONS, Op, Reduction
from ._stage import Stage, plan_composed
from ._types import Array, DType, Shape
from ._window import Window


class Backend(Named, ABC):
    """The primitives of a backend. Those with a body here are composed of the others; override them to fuse.

    The error of a sum of n values must grow with log n at most: sum pairwise, in blocks or with compensation.
    """

    remedy = ""
    """The advice in errors about a tensor on another backend, if it is not `.to(...)`."""
    fuses = False
    """Whether it runs a stage as one kernel. If not, a fused function is called as it is."""
    captures = False
    """Whether it puts all work on an open tape, so that functions of its tensors can be captured."""

    # --- memory

    @abstractmethod
    def from_numpy(self, array: NDArray[Any]) -> Array:
        """`array` as an array of this backend; a host backend shares the memory."""

    @abstractmethod
    def to_numpy(self, array: Array) -> NDArray[Any]:
        """`array` as a NumPy array; a host backend shares the memory."""

    def host_buffer(self, shape: Shape, dtype: DType) -> HostBuffer:
        """A reusable buffer on the host for copying arrays of that shape."""
        return HostBuffer(self, shape, dtype)

    def from_dlpack(self, external: Any) -> Array:
        """An array on the memory of another library's array, which has `__dlpack__`, without a copy."""
        raise TypeError(f"backend {self.name!r} takes no arrays of other libraries")

    @abstractmethod
    def empty(self, shape: Shape, dtype: DType) -> Array:
        """A new uninitialised array in C order."""

    def empty_like(self, a: Array) -> Array:
        """A new uninitialised array with the shape, dtype and strides of `a`. Required of a backend that `captures`."""
        raise NotImplementedError(f"backend {self.name!r} captures, and must define empty_like")

    @abstractmethod
    def full(self, shape: Shape, value: bool | int | float, dtype: DType) -> Array:
        """A new array in C order with `value` everywhere."""

    def constant(self, value: bool | int | float, dtype: DType) -> Array:
        """`value` as an array of no dimensions, for use as an operand: nobody writes to it."""
        return self.full((), value, dtype)

    @abstractmethod
    def copy(self, a: Array, dtype: DType | None = None) -> Array:
        """A new array in C order with the values of `a`, converted to `dtype`."""

    @abstractmethod
    def assign(self, target: Array, source: Array) -> None:
        """Write `source`, of the same dtype and a shape that broadcasts to it, into the view `target`.

        If the two overlap, the result is as if `source` had been copied first.
        """

    @abstractmethod
    def owns_memory(self, a: Array) -> bool:
        """Whether `a` is not a view of another array."""

    @abstractmethod
    def is_writable(self, a: Array) -> bool:
        """Whether `a` may be written to: its memory is not read-only. Callers check before they write."""

    # --- views: the same memory under another shape

    @abstractmethod
    def is_contiguous(self, a: Array) -> bool:
        """Whether the elements are in C order without gaps."""

    @abstractmethod
    def reshape(self, a: Array, shape: Shape) -> Array:
        """`a` as `shape`: a view where its strides allow one, else a copy."""

    @abstractmethod
    def shares_memory(self, a: Array, b: Array) -> bool:
        """Whether `a`, made from `b` by `reshape`, is a view of it."""

    @abstractmethod
    def permute(self, a: Array, dims: Shape) -> Array:
        """The view whose dimension i is dimension dims[i] of `a`."""

    @abstractmethod
    def expand(self, a: Array, shape: Shape) -> Array:
        """The view of `shape` that repeats the dimensions of extent 1 and the missing leading ones."""

    def plan_expand(self, a: Array, shape: Shape) -> Callable[[Array], Array]:
        """A function that applies `expand` with this shape to arrays with the shape, strides and dtype of `a`."""
        return lambda other: self.expand(other, shape)

    @abstractmethod
    def slice(self, a: Array, key: tuple[int | slice | None, ...]) -> Array:
        """The view that a basic index gives: integers, slices and None, one for each dimension of `a`."""

    # --- map, zip and reduce

    @abstractmethod
    def elementwise(self, op: Op, *operands: Array) -> Array:
        """`op` of each element of the operands, which broadcast; the memory order follows theirs."""

    def plan_elementwise(self, op: Op, *operands: Array) -> Callable[..., Array]:
        """A function that applies this op to operands with the same shapes, strides and dtypes."""
        return lambda *others: self.elementwise(op, *others)

    @abstractmethod
    def reduce(self, reduction: Reduction, a: Array, dims: Shape) -> Array:
        """`reduction` over `dims` (ascending, at least one), which are removed."""

    def plan_reduce(self, reduction: Reduction, a: Array, dims: Shape) -> Callable[[Array], Array]:
        """A function that applies `reduce` over these dims to arrays with the shape, strides and dtype of `a`."""
        return lambda other: self.reduce(reduction, other, dims)

    @abstractmethod
    def arg_reduce(self, name: str, a: Array, dim: int) -> Array:
        """int64 index along `dim` of the first largest (name "max") or smallest ("min") element; NaN counts as both."""

    @abstractmethod
    def cumsum(self, a: Array, dim: int) -> Array:
        """Running sums along `dim`."""

    def plan_stage(self, stage: Stage, arrays: Sequence[Array]) -> Callable[..., Sequence[Array]]:
        """A function that computes the results of a stage of a fused function, from operands laid out as `arrays`."""
        return plan_composed(self, stage)

    # --- matrix product

    @abstractmethod
    def matmul(self, a: Array, b: Array) -> Array:
        """(*batch, n, k) times (*batch, k, m) gives (*batch, n, m); int64 works too, modulo 2**64."""

    def linear(self, x: Array, weight: Array, bias: Array | None, relu: bool) -> Array:
        """x (n, i) times the transpose of weight (o, i), plus bias (o,) or None: (n, o); then relu if `relu`."""
        out = self.matmul(x, self.permute(weight, (1, 0)))
        out = out if bias is None else self.elementwise(OPS["add"], out, bias)
        return self.elementwise(OPS["relu"], out) if relu else out

    def linear_grads(
        self, g: Array, x: Array, weight: Array, out: Array | None, needs: tuple[bool, bool, bool]
    ) -> tuple[Array | None, Array | None, Array | None]:
        """The needed gradients of x, weight and bias, from the gradient g of the result of `linear`.

        `out` is the result if it was computed with relu, else None.
        """
        if out is not None:
            g = self.elementwise(OPS["relu_grad"], g, out)
        return (
            self.matmul(g, weight) if needs[0] else None,
            self.matmul(self.permute(g, (1, 0)), x) if needs[1] else None,
            self.reduce(REDUCTIONS["sum"], g, (0,)) if needs[2] else None,
        )

    # --- convolution: x (n, c, h, w), weight (o, c / groups, kh, kw), result (n, o, oh, ow)

    @abstractmethod
    def conv2d(
        self, x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool
    ) -> tuple[Array, Any]:
        """The sum over taps and channels of x under the window times weight, plus bias (o,); then relu if `relu`.

        Returns it and x in the form that `conv2d_grads` reads: x itself, or a padded copy.
        """

    def conv2d_grads(
        self,
        g: Array,
        x: Any,
        weight: Array,
        out: Array | None,
        window: Window,
        groups: int,
        needs: tuple[bool, bool, bool],
    ) -> tuple[Array | None, Array | None, Array | None]:
        """The needed gradients of x, weight and bias (o,), from the gradient g of the result of `conv2d`.

        x is the argument of `conv2d` or the form of it that `conv2d` returned. `out` is the result if it was computed
        with relu, else None; it is None, too, if g comes from `max_pool2d_relu_grad`.
        """
        if out is not None:
            g = self.elementwise(OPS["relu_grad"], g, out)
        return (
            self.conv2d_input_grad(g, weight, (x.shape[2], x.shape[3]), window, groups) if needs[0] else None,
            self.conv2d_weight_grad(x, g, window, groups) if needs[1] else None,
            self.reduce(REDUCTIONS["sum"], g, (0, 2, 3)) if needs[2] else None,
        )

    @abstractmethod
    def conv2d_input_grad(self, g: Array, weight: Array, size: tuple[int, int], window: Window, groups: int) -> Array:
        """The gradient of x, whose height and width are `size`, from the gradient g of the result."""

    @abstractmethod
    def conv2d_weight_grad(self, x: Array, g: Array, window: Window, groups: int) -> Array:
        """The gradient of weight from the gradient g of the result."""

    # --- pooling: x (n, c, h, w), result (n, c, oh, ow)

    @abstractmethod
    def max_pool2d(self, x: Array, window: Window) -> tuple[Array, Array]:
        """The largest value under the window, and the taps in a form of this backend's choice.

        A tap is row * kw + column of the first maximum or last NaN.
        """

    @abstractmethod
    def max_pool2d_take(self, x: Array, taps: Array, window: Window) -> Array:
        """The values of x at the taps that `max_pool2d` returned: (n, c, oh, ow)."""

    @abstractmethod
    def max_pool2d_grad(self, g: Array, taps: Array, size: tuple[int, int], window: Window) -> Array:
        """The adjoint of `max_pool2d_take`: each g added at its tap in zeros (n, c, *size)."""

    def max_pool2d_relu_grad(self, g: Array, taps: Array, x: Array, window: Window) -> Any:
        """The gradient of the input of a relu whose result x was the argument of `max_pool2d`.

        It is the `relu_grad` of `max_pool2d_grad` and x, in the form that `conv2d_grads` of this backend reads.
        """
        return self.elementwise(OPS["relu_grad"], self.max_pool2d_grad(g, taps, x.shape[2:], window), x)

    @abstractmethod
    def avg_pool2d(self, x: Array, window: Window) -> Array:
        """The mean under the window, including padded zeros."""

    @abstractmethod
    def avg_pool2d_grad(self, g: Array, size: tuple[int, int], window: Window) -> Array:
        """The gradient of x, whose height and width are `size`, from the gradient g of the result."""

    # --- classification

    @abstractmethod
    def softmax(self, x: Array, dim: int) -> Array:
        """exp(x) over its sum along `dim`, shifted by the maximum so that nothing overflows."""

    @abstractmethod
    def log_softmax(self, x: Array, dim: int) -> Array:
        """x minus the log of the sum of exp(x) along `dim`, by log-sum-exp."""

    def softmax_grad(self, g: Array, out: Array, dim: int) -> Array:
        """The gradient of x from the gradient g of `out`, the result of `softmax`."""
        weighted = self.elementwise(OPS["mul"], g, out)
        total = self._sum_keep(weighted, dim)
        return self.elementwise(OPS["mul"], out, self.elementwise(OPS["sub"], g, total))

    def log_softmax_grad(self, g: Array, out: Array, dim: int) -> Array:
        """The gradient of x from the gradient g of `out`, the result of `log_softmax`."""
        share = self.elementwise(OPS["mul"], self.elementwise(OPS["exp"], out), self._sum_keep(g, dim))
        return self.elementwise(OPS["sub"], g, share)

    def checked_index(self, index: Array, low: int, extent: int, error: type[Exception], message: str) -> Array:
        """int64 `index`, with `extent` added to negative values; itself, or a copy in C order.

        Raises error(message.format(value)) for the first value outside low .. extent - 1. In a captured function,
        replays raise it too. A replay that would have to wait for the device leaves it to the next `to_numpy`.
        """
        values = self.to_numpy(index)
        wrong = values[(values < low) | (values >= extent)]
        if wrong.size:
            raise error(message.format(wrong[0]))
        if not (low < 0 and values.size and values.min() < 0):
            return index
        zero, behind = self.constant(0, index.dtype), self.constant(extent, index.dtype)
        moved = self.elementwise(OPS["add"], index, behind)
        return self.elementwise(OPS["where"], self.elementwise(OPS["lt"], index, zero), moved, index)

    @abstractmethod
    def cross_entropy(self, logits: Array, target: Array) -> tuple[Array, Array]:
        """For logits (n, c) and target (n,) int64: minus log softmax at the target (n,), and log softmax (n, c)."""

    @abstractmethod
    def cross_entropy_grad(self, g: Array, log_probs: Array, target: Array) -> Array:
        """(softmax - one-hot target) * g for g (n,): (n, c)."""

    def batch_norm(self, x: Array, weight: Array, bias: Array, eps: float, relu: bool) -> tuple[Array, Array, Array]:
        """x (n, c, s) normalised to mean 0 and variance 1 over n and s, times weight plus bias (c,); relu if `relu`.

        Returns (out, mean (c,), biased variance (c,)).
        """
        return _composed_norm.batch_norm(self, x, weight, bias, eps, relu)

    def batch_norm_grad(
        self, g: Array, x: Array, weight: Array, bias: Array, mean: Array, var: Array, eps: float, relu: bool
    ) -> tuple[Array, Array, Array]:
        """The gradients of x (n, c, s), weight (c,) and bias (c,) (S. Ioffe and C. Szegedy, arXiv:1502.03167).

        `mean` and `var` come from `batch_norm`.
        """
        return _composed_norm.batch_norm_grad(self, g, x, weight, bias, mean, var, eps, relu)

    # --- gather and scatter: rows of a (r, k) chosen by index (m,) int64 in 0 .. r - 1

    @abstractmethod
    def gather(self, a: Array, index: Array) -> Array:
        """a[index]: (m, k)."""

    @abstractmethod
    def scatter_add(self, g: Array, index: Array, rows: int) -> Array:
        """The adjoint of gather: zeros (rows, k) with each row g[i] of g (m, k) added to row index[i]."""

    @abstractmethod
    def scatter(self, target: Array, index: Array, source: Array) -> None:
        """target[index] = source (m, k), in place; of equal indices the last wins."""

    @abstractmethod
    def nonzero(self, mask: Array) -> tuple[Array, ...]:
        """The indices of the true elements of `mask` in C order: for each dimension int64 (m,)."""

    # --- order

    @abstractmethod
    def argsort(self, a: Array, descending: bool) -> Array:
        """int64 indices (n, k) that sort each row of a (n, k), a float or int64 array.

        The sort is stable in both directions; NaN counts as larger than infinity.
        """

    # --- random numbers (see _random)

    @abstractmethod
    def uniform(self, shape: Shape, dtype: DType, draw: NDArray[np.uint64]) -> Array:
        """Uniform in [0, 1), the same values on every backend.

        `draw` (3,) holds a seed, the index of the draw and the offset of the first element in it, below 2**62. It is
        read each time the work runs.
        """

    def dropout(self, x: Array, rate: float, draw: NDArray[np.uint64]) -> tuple[Array, Array]:
        """x times mask, and mask: 0 with probability `rate`, else 1 / (1 - rate), drawn from float32 uniforms."""
        draws = self.uniform(x.shape, np.dtype("float32"), draw)
        kept = self.elementwise(OPS["ge"], draws, self.constant(rate, draws.dtype))
        scale = self.constant(1 / (1 - rate) if rate < 1 else 0.0, x.dtype)
        mask = self.elementwise(OPS["where"], kept, scale, self.constant(0, x.dtype))
        return self.elementwise(OPS["mul"], x, mask), mask

    # --- optimizer steps, in place, on lists of arrays of one dtype; `numbers` is read each time the work runs

    @abstractmethod
    def sgd_step(
        self, params: list[Array], grads: list[Array], velocities: list[Array] | None, numbers: NDArray[np.float64]
    ) -> None:
        """One step of gradient descent.

        g += weight_decay p; velocity = momentum velocity + (1 - dampening) g; p -= lr (velocity, or with nesterov
        g + momentum velocity). Without velocities, p -= lr g.

        `numbers` comes from `sgd_numbers`.
        """

    @abstractmethod
    def adam_step(
        self,
        params: list[Array],
        grads: list[Array],
        m: list[Array],
        v: list[Array],
        numbers: NDArray[np.float64],
    ) -> None:
        """Adam of D. Kingma and J. Ba (arXiv:1412.6980); decoupled weight decay as in arXiv:1711.05101.

        `numbers` comes from `adam_numbers`.
        """

    def plan_step(self, name: str, *columns: list[Array]) -> Callable[..., None]:
        """A function for `sgd_step` or `adam_step`, by name, on columns of parameters, gradients and states.

        It takes `numbers`, then columns with the same shapes, strides and dtypes as these.
        """
        step = getattr(self, name)
        missing = [None] * (4 - len(columns) - (name == "sgd_step"))  # velocities
        return lambda numbers, *columns: step(*columns, *missing, numbers)

    # --- helpers of the composed primitives

    def _sum_keep(self, a: Array, dim: int) -> Array:
        shape = tuple(1 if i == dim else extent for i, extent in enumerate(a.shape))
        return self.reshape(self.reduce(REDUCTIONS["sum"], a, (dim,)), shape)
