"""The reference backend, in the plainest correct NumPy. Every other backend is tested against it.

`_sums` has NumPy's sums and products, but adds float32 in float64, so that long sums stay accurate.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from . import _random, _sums
from ._host import HostBackend
from ._optable import OPS, Op, Reduction
from ._types import DType, Pair, Shape
from ._types import HostArray as Array
from ._window import NO_PADDING, Window

_FLOAT_REDUCTIONS = {"sum": _sums.total, "prod": _sums.product}
_quiet = np.errstate(all="ignore")  # as in PyTorch, overflow gives infinity and 0 / 0 NaN, without a warning


class NumpyBackend(HostBackend):
    """The primitives in NumPy alone. `HostBackend` has those on memory, `Backend` those composed of others."""

    name = "numpy"

    @_quiet
    def elementwise(self, op: Op, *operands: Array) -> Array:
        return np.asarray(op.numpy(*operands))

    @_quiet
    def reduce(self, reduction: Reduction, a: Array, dims: Shape) -> Array:
        if a.dtype.kind == "f" and reduction.name in _FLOAT_REDUCTIONS:
            return _FLOAT_REDUCTIONS[reduction.name](a, dims)
        return np.asarray(reduction.numpy(a, axis=dims, dtype=a.dtype))

    def arg_reduce(self, name: str, a: Array, dim: int) -> Array:
        return np.asarray((np.argmax if name == "max" else np.argmin)(a, axis=dim))

    @_quiet
    def cumsum(self, a: Array, dim: int) -> Array:
        return _sums.running(a, dim) if a.dtype.kind == "f" else np.cumsum(a, axis=dim, dtype=a.dtype)

    @_quiet
    def matmul(self, a: Array, b: Array) -> Array:
        return _sums.matmul(a, b)

    # --- convolution

    @_quiet
    def conv2d(
        self, x: Array, weight: Array, bias: Array | None, window: Window, groups: int, relu: bool
    ) -> tuple[Array, Array]:
        """The result, and x in the form that the weight's gradient reads: here x itself."""
        views = np.split(_under_window(_pad(x, window), window), groups, axis=1)
        weights = np.split(weight, groups)
        # (n, c, oh, ow, kh, kw) with (o, c, kh, kw) over c, kh, kw: (n, oh, ow, o)
        parts = [_sums.tensordot(v, w, (1, 4, 5), (1, 2, 3)) for v, w in zip(views, weights, strict=True)]
        out = np.concatenate(parts, axis=3).transpose(0, 3, 1, 2)
        out = out if bias is None else out + bias[:, None, None]
        return (OPS["relu"].numpy(out) if relu else out), x

    @_quiet
    def conv2d_input_grad(self, g: Array, weight: Array, size: Pair, window: Window, groups: int) -> Array:
        # (n, o, oh, ow) with (o, c, kh, kw) over o: (n, oh, ow, c, kh, kw), the values under the
        # window, each of which is added where it was read
        pairs = zip(np.split(g, groups, axis=1), np.split(weight, groups), strict=True)
        values = np.concatenate([_sums.tensordot(part, w, (1,), (0,)) for part, w in pairs], axis=3)
        return _add_under_window(values.transpose(0, 3, 1, 2, 4, 5), size, window)

    @_quiet
    def conv2d_weight_grad(self, x: Array, g: Array, window: Window, groups: int) -> Array:
        views = np.split(_under_window(_pad(x, window), window), groups, axis=1)
        # (n, o, oh, ow) with (n, c, oh, ow, kh, kw) over n, oh, ow: (o, c, kh, kw)
        return np.concatenate(
            [
                _sums.tensordot(part, v, (0, 2, 3), (0, 2, 3))
                for v, part in zip(views, np.split(g, groups, axis=1), strict=True)
            ]
        )

    # --- pooling

    def max_pool2d(self, x: Array, window: Window) -> tuple[Array, Array]:
        """The largest values, and their taps: the index of each under its window, row by row."""
        flat = _flat(_under_window(_pad(x, window, -np.inf), window))
        inside = _flat(_under_window(_pad(np.ones(x.shape, bool), window), window))
        best = flat.max(axis=-1, keepdims=True)
        first = (inside & (flat == best)).argmax(axis=-1)
        last_nan = flat.shape[-1] - 1 - np.isnan(flat[..., ::-1]).argmax(axis=-1)
        return best[..., 0], np.where(np.isnan(best[..., 0]), last_nan, first).astype(np.int32)

    def max_pool2d_take(self, x: Array, taps: Array, window: Window) -> Array:
        views = _flat(_under_window(_pad(x, window), window))
        return np.asarray(np.take_along_axis(views, taps[..., None], -1)[..., 0])

    @_quiet
    def max_pool2d_grad(self, g: Array, taps: Array, size: Pair, window: Window) -> Array:
        hit = np.arange(window.kernel[0] * window.kernel[1]) == taps[..., None]
        spread = np.where(hit, g[..., None], g.dtype.type(0))
        return _add_under_window(spread.reshape(*g.shape, *window.kernel), size, window)

    @_quiet
    def avg_pool2d(self, x: Array, window: Window) -> Array:
        views = _under_window(_pad(x, window), window)
        return np.asarray(_sums.total(views, (4, 5)) / x.dtype.type(window.kernel[0] * window.kernel[1]))

    @_quiet
    def avg_pool2d_grad(self, g: Array, size: Pair, window: Window) -> Array:
        share = g[..., None, None] / g.dtype.type(window.kernel[0] * window.kernel[1])
        return _add_under_window(np.broadcast_to(share, (*g.shape, *window.kernel)), size, window)

    # --- classification

    @_quiet
    def softmax(self, x: Array, dim: int) -> Array:
        return np.asarray(np.exp(self.log_softmax(x, dim)))

    @_quiet
    def log_softmax(self, x: Array, dim: int) -> Array:
        shifted = x - x.max(axis=dim, keepdims=True, initial=-np.inf)
        return np.asarray(shifted - np.log(np.expand_dims(_sums.total(np.exp(shifted), (dim,)), dim)))

    def cross_entropy(self, logits: Array, target: Array) -> tuple[Array, Array]:
        log_probs = self.log_softmax(logits, 1)
        return -log_probs[np.arange(len(target)), target], log_probs

    @_quiet
    def cross_entropy_grad(self, g: Array, log_probs: Array, target: Array) -> Array:
        grad = np.exp(log_probs)
        grad[np.arange(len(target)), target] -= 1
        return grad * g[:, None]

    # --- order, random numbers and optimizer steps

    def argsort(self, a: Array, descending: bool) -> Array:
        if descending:
            order = a.shape[1] - 1 - np.argsort(a[:, ::-1], kind="stable")[:, ::-1]
        else:
            order = np.argsort(a, kind="stable")
        return np.asarray(order, np.int64)

    def uniform(self, shape: Shape, dtype: DType, draw: NDArray[np.uint64]) -> Array:
        return _random.uniform(shape, dtype, *draw.tolist())

    @_quiet
    def sgd_step(
        self, params: list[Array], grads: list[Array], velocities: list[Array] | None, numbers: NDArray[np.float64]
    ) -> None:
        lr, momentum, nesterov, weight_decay, undamped = numbers.tolist()
        for i, (p, g) in enumerate(zip(params, grads, strict=True)):
            g = g + weight_decay * p
            if velocities is not None:
                velocity = velocities[i]
                velocity *= momentum
                velocity += undamped * g
                g = g + momentum * velocity if nesterov else velocity
            p -= lr * g

    @_quiet
    def adam_step(
        self,
        params: list[Array],
        grads: list[Array],
        m: list[Array],
        v: list[Array],
        numbers: NDArray[np.float64],
    ) -> None:
        # rate and scale2 correct the bias of the two means; rest1 is 1 - beta1; AdamW has a shrink below 1
        rate, beta1, rest1, beta2, rest2, scale2, eps, weight_decay, shrink = numbers.tolist()
        for p, g, mean, square in zip(params, grads, m, v, strict=True):
            p *= shrink
            g = g + weight_decay * p
            mean *= beta1
            mean += rest1 * g
            square *= beta2
            square += rest2 * (g * g)
            p -= rate * mean / (np.sqrt(square * scale2) + eps)


def _pad(x: Array, window: Window, value: float = 0) -> Array:
    if window.padding == NO_PADDING:
        return x
    return np.pad(x, ((0, 0), (0, 0), *window.padding), constant_values=value)


def _under_window(x: Array, window: Window) -> Array:
    """The view (n, c, oh, ow, kh, kw) of the elements under the window at each position on a padded x."""
    views = sliding_window_view(x, window.span, (2, 3))
    (sh, sw), (dh, dw) = window.stride, window.dilation
    return views[:, :, ::sh, ::sw, ::dh, ::dw]


def _flat(views: Array) -> Array:
    """The elements under the window as one dimension: (n, c, oh, ow, kh * kw)."""
    return views.reshape(*views.shape[:4], views.shape[4] * views.shape[5])


def _add_under_window(values: Array, size: Pair, window: Window) -> Array:
    """The adjoint of padding and `_under_window`: sum (n, c, oh, ow, kh, kw) into (n, c, *size)."""
    n, c, oh, ow, kh, kw = values.shape
    (sh, sw), (dh, dw) = window.stride, window.dilation
    (top, _), (left, _) = window.padding
    out = np.zeros((n, c, *window.padded(size)), np.float64)
    for i in range(kh):
        for j in range(kw):
            rows = slice(i * dh, i * dh + oh * sh, sh)
            columns = slice(j * dw, j * dw + ow * sw, sw)
            out[:, :, rows, columns] += values[:, :, :, :, i, j]
    return out[:, :, top : top + size[0], left : left + size[1]].astype(values.dtype)
