"""Cases of softmax, cross-entropy, batch normalisation and dropout, and of fused against composed gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Backend
from .._backward import grad
from .._batch_norm import batch_norm
from .._dtypes import float32, float64, int64
from .._softmax import cross_entropy, log_softmax, nll_loss, softmax
from .._tensor import Tensor
from .._types import Activation
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, expect_near
from ._draw import REFERENCE, Draw, Limits, Sample, uniform

Wide = NDArray[np.float64]


def _log_softmax(x: Wide, dim: int) -> Wide:
    with np.errstate(all="ignore"):
        shifted = x - np.max(x, axis=dim, keepdims=True, initial=-np.inf)
        return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=dim, keepdims=True)))


def _log_bound(exact: Wide, dtype: np.dtype[Any], terms: int) -> Wide:
    """The rounding error of the shift and of the logarithm of a sum of `terms`."""
    with np.errstate(all="ignore"):
        size = np.where(np.isfinite(exact), np.abs(exact), 0.0)
    return np.asarray(float(np.finfo(dtype).eps) * (4.0 + terms**0.5 + 4.0 * size))


def _exp_bound(log_exact: Wide, dtype: np.dtype[Any], terms: int) -> Wide:
    """The error of exp of such a logarithm."""
    with np.errstate(all="ignore"):
        return np.asarray(np.exp(log_exact) * _log_bound(log_exact, dtype, terms) + float(np.finfo(dtype).tiny))


def check_softmax(backend: Backend, draw: Draw) -> None:
    """softmax, log_softmax and their fused gradients along any dimension do not overflow, and NaN passes."""
    dtype, shape = draw.dtype(), draw.shape(1)
    dim = draw.dim(len(shape))
    scale = draw.choice([1.0, 20.0, 1e4])
    specials = draw.choice([(), (-np.inf,), (np.nan, np.inf, -np.inf)])
    x = draw.sample(shape, uniform(dtype, -scale, scale, specials))
    exact = _log_softmax(x.numpy().astype(float64), dim)
    bound = _log_bound(exact, dtype, shape[dim])
    what = f"of shape {shape} along {dim}"
    out = backend.softmax(x.on(backend), dim)
    log_out = backend.log_softmax(x.on(backend), dim)
    with np.errstate(all="ignore"):
        expect_close(f"log_softmax {what}", backend, log_out, exact.astype(dtype), bound)
        expect_close(f"softmax {what}", backend, out, np.exp(exact).astype(dtype), _exp_bound(exact, dtype, shape[dim]))
    if specials:
        return
    g = draw.sample(shape, uniform(dtype))
    wide_g, p, log_p = g.numpy().astype(float64), backend.to_numpy(out), backend.to_numpy(log_out)
    eps = float(np.finfo(dtype).eps)
    wide_p = p.astype(float64)
    total = np.sum(wide_g * wide_p, axis=dim, keepdims=True)
    size = wide_p * (np.abs(wide_g) + np.sum(np.abs(wide_g) * wide_p, axis=dim, keepdims=True))
    found = backend.softmax_grad(g.on(backend), out, dim)
    terms = 4 + shape[dim] ** 0.5
    expect_close(
        f"softmax gradient {what}",
        backend,
        found,
        (wide_p * (wide_g - total)).astype(dtype),
        eps * terms * size + np.finfo(dtype).tiny,
    )
    wide_p = np.exp(log_p.astype(float64))
    exact = wide_g - wide_p * np.sum(wide_g, axis=dim, keepdims=True)
    size = np.abs(wide_g) + wide_p * np.sum(np.abs(wide_g), axis=dim, keepdims=True)
    found = backend.log_softmax_grad(g.on(backend), log_out, dim)
    expect_close(f"log_softmax gradient {what}", backend, found, exact.astype(dtype), 2 * eps * terms * size)


def _draw_target(draw: Draw, n: int, c: int) -> Sample:
    return Sample(draw.rng.integers(0, max(c, 1), n).astype(int64))


def check_cross_entropy(backend: Backend, draw: Draw) -> None:
    """Losses, log softmax and the fused gradient of cross-entropy match float64 formulas."""
    dtype, n, c = draw.dtype(), draw.extent(), draw.extent(1)
    if draw.one_in(2):
        n, c = draw.integer(0, 40), draw.integer(1, 40)
    n = min(n, max(draw.limits.size // c, 1))
    scale = draw.choice([1.0, 20.0, 1e4])
    logits, target = draw.sample((n, c), uniform(dtype, -scale, scale)), _draw_target(draw, n, c)
    exact = _log_softmax(logits.numpy().astype(float64), 1)
    bound = _log_bound(exact, dtype, c)
    losses, log_probs = backend.cross_entropy(logits.on(backend), target.on(backend))
    what = f"cross-entropy of {(n, c)}"
    picked = (np.arange(n), target.numpy())
    expect_close(what, backend, losses, -exact[picked].astype(dtype), bound[picked])
    expect_close(what + ": log softmax", backend, log_probs, exact.astype(dtype), bound)

    g = draw.sample((n,), uniform(dtype))
    found = backend.cross_entropy_grad(g.on(backend), log_probs, target.on(backend))
    wide = np.exp(backend.to_numpy(log_probs).astype(float64))
    wide[picked] -= 1
    column = g.numpy().astype(float64)[:, None]
    eps = float(np.finfo(dtype).eps)
    size = np.abs(column) * (1 + np.abs(backend.to_numpy(log_probs).astype(float64)) * (wide > 0))
    expect_close(what + ": gradient", backend, found, (wide * column).astype(dtype), 4 * eps * size)


def check_batch_norm(backend: Backend, draw: Draw) -> None:
    """The result, the statistics and the fused gradients match float64 formulas."""
    dtype, shape = draw.dtype(), (draw.extent(1), draw.extent(), draw.extent(2))
    c, count = shape[1], shape[0] * shape[2]
    x, g = draw.sample(shape, uniform(dtype)), draw.sample(shape, uniform(dtype))
    weight, bias = draw.sample((c,), uniform(dtype)), draw.sample((c,), uniform(dtype))
    eps, relu = draw.choice([1e-5, 1e-3]), draw.one_in(2)
    found = backend.batch_norm(x.on(backend), weight.on(backend), bias.on(backend), eps, relu)
    wide, w, b = (sample.numpy().astype(float64) for sample in (x, weight, bias))
    mean = wide.mean(axis=(0, 2))
    var = ((wide - mean[:, None]) ** 2).mean(axis=(0, 2))
    scale = 1 / np.sqrt(var + eps)
    normal = (wide - mean[:, None]) * scale[:, None]
    out = normal * w[:, None] + b[:, None]
    unit = float(np.finfo(dtype).eps) * (8 + 2 * count**0.5)
    # An error in the mean, of unit times the magnitude of the values, is multiplied by scale.
    spread = unit * (2 + 4 * scale[:, None] + np.abs(normal))
    expected = (np.maximum(out, 0) if relu else out, mean, var)
    bounds = (spread * np.abs(w[:, None]) + unit * np.abs(b[:, None]), unit * 2, unit * 8)
    what = f"batch norm of {shape}, relu {relu}: "
    for name, part, exact, bound in zip(("out", "mean", "var"), found, expected, bounds, strict=True):
        expect_close(what + name, backend, part, exact.astype(dtype), bound)

    mean, var = (backend.to_numpy(part).astype(float64) for part in found[1:])
    scale = 1 / np.sqrt(var + eps)
    normal = (wide - mean[:, None]) * scale[:, None]
    wide_g = g.numpy().astype(float64)
    if relu:  # near 0 rounding decides
        wide_g = np.where(backend.to_numpy(found[0]) > 0, wide_g, 0)
    weight_grad, bias_grad = (wide_g * normal).sum(axis=(0, 2)), wide_g.sum(axis=(0, 2))
    rest = wide_g - (bias_grad / count)[:, None] - normal * (weight_grad / count)[:, None]
    x_grad = rest * (scale * w)[:, None]
    operands = (x.on(backend), weight.on(backend), bias.on(backend), *found[1:])
    grads = backend.batch_norm_grad(g.on(backend), *operands, eps, relu)
    size = unit * 8 * (1 + np.abs(normal))
    grad_bounds = (size * np.abs(scale * w)[:, None] * (1 + np.abs(normal)), unit * 8 * count, unit * 4 * count)
    names = ("input", "weight", "bias")
    for name, part, exact, bound in zip(names, grads, (x_grad, weight_grad, bias_grad), grad_bounds, strict=True):
        expect_close(f"{what}gradient for {name}", backend, part, exact.astype(dtype), bound)


def check_dropout(backend: Backend, draw: Draw) -> None:
    """The mask is bitwise equal to NumPy's, in every memory layout."""
    dtype, shape = draw.dtype(), draw.shape()
    x, rate = draw.sample(shape, uniform(dtype)), draw.choice([0.0, 0.25, 0.5, 0.9, 1.0])
    which = np.array([draw.integer(0, 2**64 - 1), draw.integer(0, 2**40), draw.integer(0, 9)], np.uint64)
    out, mask = backend.dropout(x.on(backend), rate, which)
    expected, expected_mask = REFERENCE.dropout(x.numpy(), rate, which)
    expect_equal(f"dropout mask of {shape}", backend, mask, expected_mask)
    expect_equal(f"dropout of {shape}", backend, out, expected)


# --- gradients of the differentiable functions

Builder = Callable[[Backend, Draw], tuple[Callable[..., Tensor], Sequence[NDArray[Any]]]]


def _along_dim(function: Callable[[Tensor, int], Tensor]) -> Builder:
    def build(backend: Backend, draw: Draw) -> tuple[Callable[..., Tensor], Sequence[NDArray[Any]]]:
        shape = draw.shape(1)
        dim = draw.integer(-len(shape), len(shape) - 1)
        return lambda x: function(x, dim), [draw.rng.uniform(-2, 2, shape)]

    return build


def _at_classes(function: Callable[[Tensor, Tensor], Tensor]) -> Builder:
    def build(backend: Backend, draw: Draw) -> tuple[Callable[..., Tensor], Sequence[NDArray[Any]]]:
        n, c = draw.extent(), draw.extent(1)
        target = Tensor(_draw_target(draw, n, c).on(backend), backend)
        return lambda scores: function(scores, target), [draw.rng.uniform(-2, 2, (n, c))]

    return build


def _of_batch_norm(backend: Backend, draw: Draw) -> tuple[Callable[..., Tensor], Sequence[NDArray[Any]]]:
    rest = draw.within(Limits(2, 4)).shape(0, 2, least=1)
    c, rng = draw.extent(1), draw.rng
    activation: Activation = "relu" if draw.one_in(2) else None
    shape = (2, c, *rest)
    return lambda x, w, b: batch_norm(x, w, b, 1e-3, activation)[0], [
        rng.uniform(-2, 2, s) for s in (shape, (c,), (c,))
    ]


def check_function_gradient(build: Builder, order: int, backend: Backend, draw: Draw) -> None:
    """Derivatives of a differentiable function match central differences."""
    function, arrays = build(backend, draw.small())
    check_gradient(function, [Tensor(backend.from_numpy(array), backend) for array in arrays], order)


def check_fused_gradient(build: Builder, backend: Backend, draw: Draw) -> None:
    """The fused gradient, of backward(), equals the composed one, of backward(create_graph=True)."""
    function, arrays = build(backend, draw)
    dtype, found = draw.dtype(), []
    for create_graph in (False, True):
        leaves = [Tensor(backend.from_numpy(array.astype(dtype)), backend).requires_grad_() for array in arrays]
        out = function(*leaves)
        weights = np.linspace(0.5, 1.5, out.size).reshape(out.shape).astype(dtype)
        weight = Tensor(backend.from_numpy(weights), backend)
        found.append([g.detach().numpy() for g in grad(out, leaves, weight, create_graph=create_graph)])
    tolerance = 2e-4 if dtype == float32 else 1e-12
    for i, (fused, composed) in enumerate(zip(*found, strict=True)):
        size = 1.0 + np.max(np.abs(composed), initial=0.0)
        expect_near(f"fused gradient of input {i} on {backend.name}", fused, composed, tolerance * size)


_FUNCTIONS: dict[str, Builder] = {
    "softmax": _along_dim(softmax),
    "log_softmax": _along_dim(log_softmax),
    "cross_entropy": _at_classes(cross_entropy),
    "nll_loss": _at_classes(nll_loss),
    "batch_norm": _of_batch_norm,
}

CLASS_CASES: tuple[Case, ...] = (
    Case("softmax", "values", check_softmax),
    Case("cross_entropy", "values", check_cross_entropy),
    Case("batch_norm", "values", check_batch_norm),
    Case("dropout", "values", check_dropout),
    *(Case(f"{name}-fused", "values", partial(check_fused_gradient, build)) for name, build in _FUNCTIONS.items()),
    *(Case(name, "gradient", partial(check_function_gradient, build, 1)) for name, build in _FUNCTIONS.items()),
    *(Case(name, "second", partial(check_function_gradient, build, 2)) for name, build in _FUNCTIONS.items()),
)
