"""Softmax and cross-entropy, with a fused gradient, or a composed one if it is to be differentiated again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

import numpy as np

from ._autograd import BuiltinFunction, Context, Function
from ._checks import expect_classes, expect_float
from ._dtypes import int64, is_float
from ._indexing import ScatterAdd
from ._mode import is_recording
from ._ops import common_backend
from ._optable import OPS
from ._plans import Plans
from ._reductions import NumPyNames, one_dim
from ._shape import normalize_dim

if TYPE_CHECKING:
    from ._tensor import Tensor


class Softmax(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        out = x.new(x.backend.softmax(x.data, dim))
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (out,) = ctx.saved
        if not is_recording():
            return g.new(g.backend.softmax_grad(g.data, out.data, ctx.dim))
        return out * (g - (g * out).sum(ctx.dim, keepdim=True))


class LogSoftmax(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        out = x.new(x.backend.log_softmax(x.data, dim))
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (out,) = ctx.saved
        if not is_recording():
            return g.new(g.backend.log_softmax_grad(g.data, out.data, ctx.dim))
        return g - out.exp() * g.sum(ctx.dim, keepdim=True)


class CrossEntropy(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, logits: Tensor, target: Tensor) -> Tensor:
        losses, ctx.log_probs = logits.backend.cross_entropy(logits.data, target.data)
        ctx.save(logits, target)
        return logits.new(losses)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor, None]:
        logits, target = ctx.saved
        if not is_recording():
            return g.new(g.backend.cross_entropy_grad(g.data, ctx.log_probs, target.data)), None
        classes = target.new(target.backend.full((logits.shape[1],), 1, int64)).cumsum(0) - 1
        hit = (classes == target.unsqueeze(1)).astype(logits.dtype)
        return (softmax(logits, 1) - hit) * g.unsqueeze(1), None


class NLLLoss(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, log_probs: Tensor, target: Tensor) -> Tensor:
        backend, (n, c) = target.backend, log_probs.shape
        starts = backend.from_numpy(np.arange(0, n * c, max(c, 1)))
        index = backend.elementwise(OPS["add"], starts, target.data)
        picked = backend.gather(backend.reshape(log_probs.data, (n * c, 1)), index)
        ctx.shape = (n, c)
        ctx.save(target.new(index))
        return log_probs.new(backend.elementwise(OPS["neg"], backend.reshape(picked, (n,))))

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> tuple[Tensor, None]:
        (index,), (n, c) = ctx.saved, ctx.shape
        if not is_recording():
            backend, lost = g.backend, g.backend.elementwise(OPS["neg"], g.data)
            rows = backend.scatter_add(backend.reshape(lost, (n, 1)), index.data, n * c)
            return g.new(backend.reshape(rows, (n, c))), None
        return ScatterAdd.apply((-g).reshape(n, 1), index, n * c).reshape(n, c), None


def _along(function: type[Function], what: str, x: Tensor, dim: int | None, names: NumPyNames) -> Tensor:
    """`function` of x along `dim` (or `axis` in `names`); without dimensions x counts as having one."""
    expect_float(what, x)
    at = normalize_dim(one_dim(what, dim, names), x.ndim)
    return function.apply(x, at) if x.ndim else function.apply(x.reshape(1), 0).reshape(())


def softmax(input: Tensor, dim: int | None = None, **names: Unpack[NumPyNames]) -> Tensor:
    """exp(input) divided by its sum along `dim` (or `axis`), shifted so that nothing overflows; the input's shape.

    Raises TypeError for integers and without `dim`, and IndexError for a dim that the input does not have.

    >>> softmax(tensor([0.0, 0.0]), 0)
    tensor([0.5, 0.5])
    """
    return _along(Softmax, "softmax", input, dim, names)


def log_softmax(input: Tensor, dim: int | None = None, **names: Unpack[NumPyNames]) -> Tensor:
    """input minus log(sum(exp(input))) along `dim`, by the log-sum-exp trick; its shape. Raises as `softmax`.

    >>> log_softmax(tensor([0.0, 0.0]), 0).round(decimals=4)
    tensor([-0.6931, -0.6931])
    """
    return _along(LogSoftmax, "log_softmax", input, dim, names)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Minus log_softmax of logits (n, c) at the class indices target (n,), int64 in 0 .. c - 1: losses (n,).

    Raises ValueError for shapes that do not match or a class index out of range, TypeError for other dtypes.

    >>> cross_entropy(tensor([[0.0, 0.0]]), tensor([1])).round(decimals=4)
    tensor([0.6931])
    """
    _expect_classes("cross_entropy", logits, target)
    return CrossEntropy.apply(logits, target)


def nll_loss(log_probs: Tensor, target: Tensor) -> Tensor:
    """Minus log_probs (n, c) at the class indices target (n,), int64 in 0 .. c - 1: losses (n,).

    Raises as `cross_entropy`, which is faster if the log-probabilities themselves are not needed.

    >>> nll_loss(tensor([[-0.5, -1.0]]), tensor([1]))
    tensor([1.])
    """
    _expect_classes("nll_loss", log_probs, target)
    return NLLLoss.apply(log_probs, target)


def _expect_classes(what: str, scores: Tensor, target: Tensor) -> None:
    try:
        form = (what, scores.layout, target.layout)
    except AttributeError:
        common_backend(what, scores, target)
        raise
    _checked.find(form, what, scores, target)
    expect_classes(what, target, scores.data.shape[1])


def _check(what: str, scores: Tensor, target: Tensor) -> None:
    common_backend(what, scores, target)
    if not is_float(scores.dtype) or target.dtype != int64:
        raise TypeError(
            f"{what}: input of {scores.dtype} and target of {target.dtype}: expected float32 or float64, and int64"
        )
    if scores.ndim != 2 or target.shape != scores.shape[:1]:
        raise ValueError(
            f"{what}: input of shape {scores.shape} and target of shape {target.shape}: expected (n, classes) and (n,)"
        )
    if scores.shape[0] and not scores.shape[1]:
        raise ValueError(f"{what}: input of shape {scores.shape} has no classes: expected at least one")


_checked: Plans[None] = Plans(_check)
