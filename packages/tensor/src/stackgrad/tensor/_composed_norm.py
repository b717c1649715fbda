"""Batch normalisation composed of other primitives, for backends without a kernel for it.

x is (n, c, s); the mean and variance of each channel, over n and s, are (c,). If the mean is far larger than the
deviation, the rounding error of the mean is as large as the deviation. So the mean of the centred values is added to
the mean and subtracted from them, as in the corrected two-pass algorithm (T. Chan, G. Golub and R. LeVeque, "Algorithms
for computing the sample variance", The American Statistician 37, 1983).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._optable import OPS, REDUCTIONS
from ._types import Array

if TYPE_CHECKING:
    from ._backend import Backend


def batch_norm(on: Backend, x: Array, weight: Array, bias: Array, eps: float, relu: bool) -> tuple[Array, Array, Array]:
    """See Backend.batch_norm."""
    mean = _mean(on, x)
    mean = on.elementwise(OPS["add"], mean, _mean(on, _centred(on, x, mean)))
    centred = _centred(on, x, mean)
    centred = _centred(on, centred, _mean(on, centred))
    var = _mean(on, on.elementwise(OPS["mul"], centred, centred))
    out = _scale_and_shift(on, _normal(on, x, mean, var, eps), weight, bias)
    return on.elementwise(OPS["relu"], out) if relu else out, mean, var


def batch_norm_grad(
    on: Backend, g: Array, x: Array, weight: Array, bias: Array, mean: Array, var: Array, eps: float, relu: bool
) -> tuple[Array, Array, Array]:
    """See Backend.batch_norm_grad (S. Ioffe and C. Szegedy, arXiv:1502.03167)."""
    normal = _normal(on, x, mean, var, eps)
    if relu:
        g = on.elementwise(OPS["relu_grad"], g, _scale_and_shift(on, normal, weight, bias))
    weighted = on.elementwise(OPS["mul"], g, normal)
    rest = _centred(on, g, _mean(on, g))
    share = on.elementwise(OPS["mul"], normal, _column(on, _mean(on, weighted)))
    scale = on.elementwise(OPS["mul"], _scale(on, var, eps), weight)
    x_grad = on.elementwise(OPS["mul"], on.elementwise(OPS["sub"], rest, share), _column(on, scale))
    return x_grad, on.reduce(REDUCTIONS["sum"], weighted, (0, 2)), on.reduce(REDUCTIONS["sum"], g, (0, 2))


def _column(on: Backend, a: Array) -> Array:
    return on.reshape(a, (1, a.shape[0], 1))


def _mean(on: Backend, a: Array) -> Array:
    count = on.constant(a.shape[0] * a.shape[2], a.dtype)
    return on.elementwise(OPS["div"], on.reduce(REDUCTIONS["sum"], a, (0, 2)), count)


def _centred(on: Backend, x: Array, mean: Array) -> Array:
    return on.elementwise(OPS["sub"], x, _column(on, mean))


def _scale(on: Backend, var: Array, eps: float) -> Array:
    return on.elementwise(OPS["rsqrt"], on.elementwise(OPS["add"], var, on.constant(eps, var.dtype)))


def _normal(on: Backend, x: Array, mean: Array, var: Array, eps: float) -> Array:
    return on.elementwise(OPS["mul"], _centred(on, x, mean), _column(on, _scale(on, var, eps)))


def _scale_and_shift(on: Backend, a: Array, weight: Array, bias: Array) -> Array:
    return on.elementwise(OPS["add"], on.elementwise(OPS["mul"], a, _column(on, weight)), _column(on, bias))
