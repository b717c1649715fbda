"""Optimizer steps: one launch for all parameters, their gradients and their states.

A chunk is a part of one parameter, (which, start, count) in a table. The kernel finds the memory of the parameter, of
its gradient and of its states in the tuple of all arrays: parameters first, then gradients, then each kind of state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._channels_last import in_order
from ._copy import assign
from ._kernel import kernel
from ._numba import helper, types
from ._parallel import CHUNK
from ._pointers import Memories, Memory, load, memory_of, store

COST = 4  # operations that one parameter takes as long as

Array = NDArray[Any]
Numbers = NDArray[np.float64]


def _arguments(T: Any) -> tuple[Any, ...]:
    return Memories(T), types.intp, Memory(types.int64), Memory(types.float64)


@helper
def _part(parts, chunk):
    """Which parameter the chunk is of, and its first element and the one behind its last."""
    start = load(parts, 3 * chunk + 1)
    return load(parts, 3 * chunk), start, start + load(parts, 3 * chunk + 2)


@kernel(_arguments)
def _sgd(chunk, arrays, params, parts, numbers):
    which, start, end = _part(parts, chunk)
    p, g = memory_of(arrays, which), memory_of(arrays, params + which)
    number = type(load(p, start))
    lr, weight_decay = number(load(numbers, 0)), number(load(numbers, 3))
    for i in range(start, end):
        value = load(p, i)
        store(p, i, value - lr * (load(g, i) + weight_decay * value))


@kernel(_arguments)
def _momentum(chunk, arrays, params, parts, numbers):
    which, start, end = _part(parts, chunk)
    p, g, v = memory_of(arrays, which), memory_of(arrays, params + which), memory_of(arrays, 2 * params + which)
    number = type(load(p, start))
    lr, momentum = number(load(numbers, 0)), number(load(numbers, 1))
    nesterov, weight_decay = load(numbers, 2) != 0, number(load(numbers, 3))
    for i in range(start, end):
        value = load(p, i)
        slope = load(g, i) + weight_decay * value
        speed = momentum * load(v, i) + slope
        store(v, i, speed)
        store(p, i, value - lr * (slope + momentum * speed if nesterov else speed))


@kernel(_arguments)
def _adam(chunk, arrays, params, parts, numbers):
    which, start, end = _part(parts, chunk)
    p, g = memory_of(arrays, which), memory_of(arrays, params + which)
    m, v = memory_of(arrays, 2 * params + which), memory_of(arrays, 3 * params + which)
    number = type(load(p, start))
    rate, beta1, rest1 = number(load(numbers, 0)), number(load(numbers, 1)), number(load(numbers, 2))
    beta2, rest2, scale2 = number(load(numbers, 3)), number(load(numbers, 4)), number(load(numbers, 5))
    eps, weight_decay, shrink = number(load(numbers, 6)), number(load(numbers, 7)), number(load(numbers, 8))
    for i in range(start, end):
        value = load(p, i) * shrink
        slope = load(g, i) + weight_decay * value
        mean = beta1 * load(m, i) + rest1 * slope
        square = beta2 * load(v, i) + rest2 * (slope * slope)
        store(m, i, mean)
        store(v, i, square)
        store(p, i, value - rate * mean / (math.sqrt(square * scale2) + eps))


def plan_step(name: str, *columns: list[Array]) -> Callable[..., None]:
    """See Backend.plan_step."""
    params, arrays = columns[0], [a for column in columns for a in column]
    parts = [(i, start, min(CHUNK, p.size - start)) for i, p in enumerate(params) for start in range(0, p.size, CHUNK)]
    table, chunks, of = np.array(parts, np.int64).reshape(-1), len(parts), len(params)
    work = sum([p.size for p in params]) * COST
    copies = [i for i, a in enumerate(arrays) if not a.flags.c_contiguous]
    kernel = _adam if name == "adam_step" else _momentum if len(columns) > 2 else _sgd
    launch = kernel[params[0].dtype]

    def run(numbers: Numbers, *columns: list[Array]) -> None:
        given: list[Array] = []
        for arrays in columns:
            given += arrays
        lying = list(given) if copies else given
        for i in copies:
            lying[i] = in_order(given[i])
        launch(chunks, work, (tuple(lying), of, table, numbers))
        for i in copies:
            if not of <= i < 2 * of:
                assign(given[i], lying[i])

    return run


def sgd_step(params: list[Array], grads: list[Array], velocities: list[Array] | None, numbers: Numbers) -> None:
    """See Backend.sgd_step."""
    columns = (params, grads) if velocities is None else (params, grads, velocities)
    plan_step("sgd_step", *columns)(numbers, *columns)


def adam_step(params: list[Array], grads: list[Array], m: list[Array], v: list[Array], numbers: Numbers) -> None:
    """See Backend.adam_step."""
    plan_step("adam_step", params, grads, m, v)(numbers, params, grads, m, v)
