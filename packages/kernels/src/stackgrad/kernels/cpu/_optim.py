"""Optimizer steps: one pass over a parameter, its gradient and its state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from ._buffers import empty
from ._jit import kernel
from ._parallel import CHUNK, SERIAL
from ._simd import load, store

Array = NDArray[Any]


@kernel(lambda T: (T[::1], T[::1], T[::1], T, T, T, types.boolean))
def _sgd(chunk, p, g, velocity, lr, momentum, weight_decay, nesterov):
    """`velocity` is empty when there is no momentum."""
    for i in range(chunk * CHUNK, min(p.size, (chunk + 1) * CHUNK)):
        step = load(g, i) + weight_decay * load(p, i)
        if velocity.size:
            speed = momentum * load(velocity, i) + step
            store(velocity, i, speed)
            step = step + momentum * speed if nesterov else speed
        store(p, i, load(p, i) - lr * step)


@kernel(lambda T: (T[::1], T[::1], T[::1], T[::1], *[T] * 9))
def _adam(chunk, p, g, m, v, rate, beta1, rest1, beta2, rest2, scale2, eps, weight_decay, shrink):
    """`rest` is 1 - beta, `rate` the bias-corrected learning rate, `scale2` the bias correction of v."""
    for i in range(chunk * CHUNK, min(p.size, (chunk + 1) * CHUNK)):
        value = load(p, i) * shrink
        slope = load(g, i) + weight_decay * value
        mean = beta1 * load(m, i) + rest1 * slope
        square = beta2 * load(v, i) + rest2 * (slope * slope)
        store(m, i, mean)
        store(v, i, square)
        store(p, i, value - rate * mean / (math.sqrt(square * scale2) + eps))


def _apply(kernel_for: Any, written: list[Array], g: Array, numbers: tuple[Any, ...]) -> None:
    p = written[0]
    if not all(a.flags.writeable for a in written):
        raise ValueError(f"optimizer step on a parameter of shape {p.shape}: it or its state is in read-only memory")
    flat = [np.ascontiguousarray(a).reshape(-1) for a in written]  # copies of what is not in C order
    g_flat = np.ascontiguousarray(g).reshape(-1)
    kernel_for[p.dtype](-(-p.size // CHUNK), p.size < SERIAL, (flat[0], g_flat, *flat[1:], *numbers))
    for a, b in zip(written, flat, strict=True):
        if not a.flags.c_contiguous:
            a[...] = b.reshape(a.shape)


def sgd_step(
    p: Array, g: Array, velocity: Array | None, lr: float, momentum: float, nesterov: bool, weight_decay: float
) -> None:
    """See Backend.sgd_step."""
    state = empty(0, p.dtype) if velocity is None else velocity
    _apply(_sgd, [p, state], g, (lr, momentum, weight_decay, nesterov))


def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> None:
    """See Backend.adam_step."""
    rate, scale2 = lr / (1 - betas[0] ** step), 1 / (1 - betas[1] ** step)
    decay, shrink = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    _apply(_adam, [p, m, v], g, (rate, betas[0], 1 - betas[0], betas[1], 1 - betas[1], scale2, eps, decay, shrink))
