"""Softmax, cross-entropy, batch normalisation, dropout, gather and scatter."""

from __future__ import annotations

from functools import partial

from stackgrad import nn
from stackgrad.tensor import Generator, Tensor, batch_norm, grad, zeros

from ._operands import classes, normal
from ._suite import BACKENDS, Work, precompiled, timed
from ._values import LOGITS, extent

DIRECTIONS = ("forward", "backward")
DTYPES = ("float32", "float64")
setup_cache = precompiled(__name__)


@timed(
    op=("softmax", "log_softmax", "cross_entropy"),
    shape=[*LOGITS],
    direction=DIRECTIONS,
    dtype=DTYPES,
    backend=BACKENDS,
)
def time_classify(op: str, shape: str, direction: str, dtype: str, backend: str) -> Work:
    """Along the last dimension; backward is forward and the gradient of the logits."""
    rows, columns = LOGITS[shape]
    x = normal(rows, columns, dtype=dtype, backend=backend, requires_grad=True)
    target = classes(rows, columns, backend)

    def forward(logits: Tensor) -> Tensor:
        return nn.cross_entropy(logits, target) if op == "cross_entropy" else getattr(nn, op)(logits, 1)

    if direction == "forward":
        return partial(forward, x.detach())
    g = None if op == "cross_entropy" else normal(rows, columns, dtype=dtype, backend=backend, seed=1)
    return lambda: grad(forward(x), x, g)


@timed(layout=("NCHW", "channels last"), direction=DIRECTIONS, backend=BACKENDS)
def time_batch_norm(layout: str, direction: str, backend: str) -> Work:
    """64x16x28x28 in training, and its relu, as networks have it behind a convolution."""
    batch, *_ = shape = (extent(64, counted=4), 16, 28, 28)

    def image(seed: int) -> Tensor:
        if layout == "NCHW":
            return normal(*shape, backend=backend, seed=seed)
        return normal(batch, 28, 28, 16, backend=backend, seed=seed).permute(0, 3, 1, 2)

    x, g = image(0), image(3)
    weight, bias = (normal(16, backend=backend, seed=i, requires_grad=True) for i in (1, 2))
    if direction == "forward":
        return partial(batch_norm, x, weight.detach(), bias.detach(), activation="relu")
    x.requires_grad_()
    return lambda: grad(batch_norm(x, weight, bias, activation="relu")[0], (x, weight, bias), g)


@timed(size=(4_096, 1_000_000), direction=DIRECTIONS, dtype=DTYPES, backend=BACKENDS)
def time_dropout(size: int, direction: str, dtype: str, backend: str) -> Work:
    """Rate 0.25; 4,096 elements are the course network's at batch 64."""
    generator = Generator(0)
    x = normal(size, dtype=dtype, backend=backend, requires_grad=True)
    if direction == "forward":
        return partial(nn.dropout, x.detach(), 0.25, generator=generator)
    g = normal(size, dtype=dtype, backend=backend, seed=1)
    return lambda: grad(nn.dropout(x, 0.25, generator=generator), x, g)


@timed(op=("gather", "scatter_add", "write"), dtype=DTYPES, backend=BACKENDS)
def time_rows(op: str, dtype: str, backend: str) -> Work:
    """4,096 rows of 64 chosen out of 10,000: read, the gradient of reading, written."""
    chosen, rows = extent((4_096, 10_000), counted=(512, 2_000))
    index = classes(chosen, rows, backend)
    table = normal(rows, 64, dtype=dtype, backend=backend, requires_grad=True)
    g = normal(chosen, 64, dtype=dtype, backend=backend, seed=1)
    if op == "gather":
        plain = table.detach()
        return lambda: plain[index]
    if op == "scatter_add":
        return lambda: grad(table[index], table, g)
    target = zeros(rows, 64, dtype=dtype, backend=backend)
    return partial(target.__setitem__, index, g)
