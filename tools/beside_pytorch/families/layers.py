"""The functions of layers: products, convolutions, pools, softmax, losses, norms and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..case import Pure, Shown
from ..draw import DTYPES, FLOATS, Draw
from ..sides import Side, Tensor


def matmul(draw: Draw) -> Pure:
    """Products of vectors, matrices and batches, sometimes with mixed dtypes."""
    dtype = draw.choice((*FLOATS, "int64"))
    n, k, m = (draw.integer(0 if draw.chance(0.05) else 1, 5) for _ in "nkm")
    batch = draw.shape(2, 3, empty=0)
    left = () if draw.chance(0.02) else (k,) if draw.chance(0.15) else (*draw.broadcastable(batch), n, k)
    right = (k,) if draw.chance(0.15) else (*draw.broadcastable(batch), k + draw.chance(0.03), m)
    x = draw.array(left, dtype)
    y = draw.array(right, dtype if draw.chance(0.9) else draw.choice(DTYPES))
    return Pure(lambda lib, x, y: lib.matmul(x, y), [x, y])


def linear(draw: Draw) -> Pure:
    """With any leading dimensions, with and without a bias."""
    dtype = draw.choice(FLOATS)
    i, o = draw.integer(1, 6), draw.integer(1, 6)
    x = draw.array((*draw.shape(3, empty=0.1), i), dtype)
    weight = draw.array((o, i + draw.chance(0.03)), dtype if draw.chance(0.97) else "float64")
    arrays = [x, weight] + ([draw.array((o,), dtype)] if draw.chance(0.7) else [])
    return Pure(lambda lib, *tensors: lib.F.linear(*tensors), arrays)


def _per_dim(draw: Draw, low: int, high: int, dims: int) -> Any:
    """An int, or one int per dimension."""
    return draw.integer(low, high) if draw.chance(0.6) else tuple(draw.integer(low, high) for _ in range(dims))


def _convolution(draw: Draw, dims: int) -> Pure:
    dtype = draw.choice(FLOATS)
    groups = draw.choice((1, 1, 1, 2, 3))
    channels, outs = groups * draw.integer(1, 3), groups * draw.integer(1, 3)
    kernel = [draw.choice((1, 2, 3, 3, 5)) for _ in range(dims)]
    size = [draw.integer(2, 9) for _ in range(dims)]
    x = draw.array((draw.integer(0 if draw.chance(0.05) else 1, 3), channels, *size), dtype)
    weight = draw.array((outs, channels // groups + draw.chance(0.02), *kernel), dtype)
    arrays = [x, weight] + ([draw.array((outs,), dtype)] if draw.chance(0.6) else [])
    stride = _per_dim(draw, 1, 2, dims) if draw.chance(0.5) else 1
    padding: Any = draw.choice((0, _per_dim(draw, 0, 2, dims), "valid", "same"))
    dilation = _per_dim(draw, 1, 2, dims) if draw.chance(0.3) else 1

    def apply(lib: Side, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        convolve = lib.F.conv1d if dims == 1 else lib.F.conv2d
        return convolve(x, weight, bias, stride, padding, dilation, groups)

    return Pure(apply, arrays)


def conv1d(draw: Draw) -> Pure:
    """All options."""
    return _convolution(draw, 1)


def conv2d(draw: Draw) -> Pure:
    """All options."""
    return _convolution(draw, 2)


def pools(draw: Draw) -> Pure:
    """Both pools with all options, ties and NaN."""
    name = draw.choice(("max_pool2d", "avg_pool2d"))
    x = draw.array(
        (draw.integer(0 if draw.chance(0.05) else 1, 2), draw.integer(1, 4), draw.integer(1, 7), draw.integer(1, 7)),
        draw.choice(FLOATS),
        draw.choice(("normal", "small", "special") if name == "max_pool2d" else ("normal", "small")),
    )
    kernel = _per_dim(draw, 1, 3, 2)
    stride = None if draw.chance(0.4) else _per_dim(draw, 1, 3, 2)
    padding = draw.choice((0, 0, _per_dim(draw, 0, 1, 2)))
    return Pure(lambda lib, x: getattr(lib.F, name)(x, kernel, stride, padding), [x])


def softmaxes(draw: Draw) -> Pure:
    """Along any dim, with large values and infinities."""
    name = draw.choice(("softmax", "log_softmax"))
    x = draw.array(draw.shape(4, empty=0.08), draw.choice(FLOATS), draw.choice(("normal", "small", "special")))
    x = x * np.asarray(draw.choice((1, 1, 30, 300)), x.dtype)
    dim = draw.dim(x.ndim)
    return Pure(lambda lib, x: getattr(lib.F, name)(x, dim), [x])


def losses(draw: Draw) -> Pure:
    """cross_entropy, nll_loss and mse_loss with each reduction."""
    name = draw.choice(("cross_entropy", "nll_loss", "mse_loss"))
    reduction, dtype = draw.choice(("mean", "sum", "none")), draw.choice(FLOATS)
    if name == "mse_loss":
        shape = draw.shape(3, empty=0.1)
        arrays = [draw.array(shape, dtype), draw.array(shape, draw.choice((dtype, *FLOATS)))]
    else:
        n, c = draw.integer(0 if draw.chance(0.1) else 1, 5), draw.integer(1, 6)
        classes = np.asarray(draw.random.integers(0, c + draw.chance(0.03), n), np.int64)
        arrays = [draw.array((n, c), dtype, draw.choice(("normal", "small"))), classes]
    return Pure(lambda lib, x, target: getattr(lib.F, name)(x, target, reduction=reduction), arrays)


def batch_norm(draw: Draw) -> Pure:
    """In training and in evaluation, with two to four dimensions."""
    dtype = draw.choice(FLOATS)
    c = draw.integer(1, 4)
    x = draw.array((draw.integer(0 if draw.chance(0.05) else 1, 4), c, *draw.shape(2, 4, empty=0)), dtype)
    x = x * draw.choice((1, 1, 10)) + draw.choice((0, 0, 3))
    if x.size and (x.size <= 3 * c or x.var((0, *range(2, x.ndim)), np.float64).min() < 0.1):
        dtype = "float64"  # gradients of few or similar values cancel, with large rounding errors in float32
    training, eps = draw.chance(0.7), draw.choice((1e-5, 1e-3, 0.1))
    mean, weight, bias = (draw.array((c,), dtype, laid=False) for _ in range(3))
    var = draw.array((c,), dtype, "positive", laid=False)

    def apply(lib: Side, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        running = [lib.tensor(mean).clone(), lib.tensor(var).clone()]  # written in place
        out = lib.F.batch_norm(lib.plain(x), *running, weight, bias, training, 0.1, eps)
        with lib.no_grad():
            after = (running[0] + 2 * running[1]).reshape(*[c if i == 1 else 1 for i in range(len(x.shape))])
        return out + after

    return Pure(apply, [x.astype(dtype), weight, bias])


def dropout(draw: Draw, lib: Side, show: Shown) -> None:
    """Checks that do not depend on the mask: the share of kept values, their scale, and the gradient."""
    rate, training = draw.choice((0.0, 0.1, 0.5, 0.9, 1.0)), draw.chance(0.8)
    x = lib.tensor(draw.array((50, 100), draw.choice(FLOATS), "positive", laid=False), requires_grad=True)
    y = lib.F.dropout(x, rate, training)
    out, before = lib.array(y), lib.array(x)
    kept = out != 0
    y.sum().backward()
    gradient = lib.array(x.grad)
    scale = 1 / (1 - rate) if training and rate < 1 else 1.0
    show("dtype", str(out.dtype))
    show("share", bool(abs(kept.mean() - (1 - rate if training else 1)) < 0.05))
    show("scaled", bool(np.allclose(out[kept], before[kept] * scale, rtol=1e-6)))
    show("gradient", bool(np.allclose(gradient, np.where(kept, scale, 0), rtol=1e-6)))


FAMILIES = (matmul, matmul, linear, conv1d, conv2d, conv2d, pools, pools, softmaxes, losses, losses, batch_norm)
PROGRAMS = (dropout,)
