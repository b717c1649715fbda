"""Optimizer steps: one launch for all parameters, their gradients and their states.

A chunk is a part of one parameter, described in a table as (parameter, start, count). The kernel finds the memory of
the parameter, its gradient and its states in the tuple of all arrays: parameters, then gradients, then each state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.tensor._types import HostArray as Array

from ._channels_last import in_order
from ._copy import assign
from ._kernel import kernel
from ._numba import helper, types
from ._parallel import CHUNK
from ._pointers import Memories, Memory, load, memory_of, store

COST = 4  # units of work of one element

Numbers = NDArray[np.float64]


def _arguments(T: Any) -> tuple[Any, ...]:
    return Memories(T), types.intp, Memory(types.int64), Memory(types.float64)


@helper
def _part(parts, chunk):
    """The index of the chunk's parameter, its first element, and one past its last."""
    start = load(parts, 3 * chunk + 1)
    return load(parts, 3 * chunk), start, start + load(parts, 3 * chunk + 2)


@kernel(_arguments)
def _sgd(chunk, arrays, params, parts, numbers):
    which, start, end = _part(parts, chunk)
    p, g = memory_of(arrays, which), memory_of(arrays, params + which)
    T = type(load(p, start))
    lr, weight_decay = T(load(numbers, 0)), T(load(numbers, 3))
    for i in range(start, end):
        value = load(p, i)
        store(p, i, value - lr * (load(g, i) + weight_decay * value))


@kernel(_arguments)
def _momentum(chunk, arrays, params, parts, numbers):
    which, start, end = _part(parts, chunk)
    p, g, v = memory_of(arrays, which), memory_of(arrays, params + which), memory_of(arrays, 2 * params + which)
    T = type(load(p, start))
    lr, momentum = T(load(numbers, 0)), T(load(numbers, 1))
    nesterov, weight_decay, undamped = load(numbers, 2) != 0, T(load(numbers, 3)), T(load(numbers, 4))
    for i in range(start, end):
        value = load(p, i)
        grad = load(g, i) + weight_decay * value
        velocity = momentum * load(v, i) + undamped * grad
        store(v, i, velocity)
        store(p, i, value - lr * (grad + momentum * velocity if nesterov else velocity))


@kernel(_arguments)
def _adam(chunk, arrays, params, parts, numbers):
    which, start, end = _part(parts, chunk)
    p, g = memory_of(arrays, which), memory_of(arrays, params + which)
    m, v = memory_of(arrays, 2 * params + which), memory_of(arrays, 3 * params + which)
    T = type(load(p, start))
    rate, beta1, rest1 = T(load(numbers, 0)), T(load(numbers, 1)), T(load(numbers, 2))
    beta2, rest2, scale2 = T(load(numbers, 3)), T(load(numbers, 4)), T(load(numbers, 5))
    eps, weight_decay, shrink = T(load(numbers, 6)), T(load(numbers, 7)), T(load(numbers, 8))
    for i in range(start, end):
        value = load(p, i) * shrink
        grad = load(g, i) + weight_decay * value
        mean = beta1 * load(m, i) + rest1 * grad
        square = beta2 * load(v, i) + rest2 * (grad * grad)
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
        in_memory = list(given) if copies else given
        for i in copies:
            in_memory[i] = in_order(given[i])
        launch(chunks, work, (tuple(in_memory), of, table, numbers))
        for i in copies:
            if not of <= i < 2 * of:
                assign(given[i], in_memory[i])

    return run


def sgd_step(params: list[Array], grads: list[Array], velocities: list[Array] | None, numbers: Numbers) -> None:
    """See Backend.sgd_step."""
    columns = (params, grads) if velocities is None else (params, grads, velocities)
    plan_step("sgd_step", *columns)(numbers, *columns)


def adam_step(params: list[Array], grads: list[Array], m: list[Array], v: list[Array], numbers: Numbers) -> None:
    """See Backend.adam_step."""
    plan_step("adam_step", params, grads, m, v)(numbers, params, grads, m, v)
