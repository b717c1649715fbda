"""Optimizer steps: one pass over all parameters, their gradients and their states.

A chunk is a row of a table: how many elements it has, and where they lie in the parameter, the gradient and each
state, counted in elements from the memory of the first parameter.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, cast

import numpy as np
from numba import types
from numpy.typing import NDArray

from stackgrad.tensor import capturing

from ._channels_last import in_order
from ._kernel import Kernel, kernel
from ._on_host import on_host
from ._parallel import CHUNK
from ._pointers import load, store

COST = 4  # operations that one parameter takes as long as

Array = NDArray[Any]
Numbers = NDArray[np.float64]


def _arguments(T: Any) -> tuple[Any, ...]:
    return T[::1], types.int64[::1], types.float64[::1]


@kernel(_arguments)
def _sgd(chunk, base, table, numbers):
    count, p, g = load(table, 3 * chunk), load(table, 3 * chunk + 1), load(table, 3 * chunk + 2)
    number = type(load(base, 0))
    lr, weight_decay = number(numbers[0]), number(numbers[3])
    for i in range(count):
        value = load(base, p + i)
        store(base, p + i, value - lr * (load(base, g + i) + weight_decay * value))


@kernel(_arguments)
def _momentum(chunk, base, table, numbers):
    count, p = load(table, 4 * chunk), load(table, 4 * chunk + 1)
    g, v = load(table, 4 * chunk + 2), load(table, 4 * chunk + 3)
    number = type(load(base, 0))
    lr, momentum, nesterov, weight_decay = number(numbers[0]), number(numbers[1]), numbers[2] != 0, number(numbers[3])
    for i in range(count):
        value = load(base, p + i)
        slope = load(base, g + i) + weight_decay * value
        speed = momentum * load(base, v + i) + slope
        store(base, v + i, speed)
        store(base, p + i, value - lr * (slope + momentum * speed if nesterov else speed))


@kernel(_arguments)
def _adam(chunk, base, table, numbers):
    count, p, g = load(table, 5 * chunk), load(table, 5 * chunk + 1), load(table, 5 * chunk + 2)
    m, v = load(table, 5 * chunk + 3), load(table, 5 * chunk + 4)
    number = type(load(base, 0))
    rate, beta1, rest1, beta2 = number(numbers[0]), number(numbers[1]), number(numbers[2]), number(numbers[3])
    rest2, scale2, eps = number(numbers[4]), number(numbers[5]), number(numbers[6])
    weight_decay, shrink = number(numbers[7]), number(numbers[8])
    for i in range(count):
        value = load(base, p + i) * shrink
        slope = load(base, g + i) + weight_decay * value
        mean = beta1 * load(base, m + i) + rest1 * slope
        square = beta2 * load(base, v + i) + rest2 * (slope * slope)
        store(base, m + i, mean)
        store(base, v + i, square)
        store(base, p + i, value - rate * mean / (math.sqrt(square * scale2) + eps))


def _step(
    kernel_for: Kernel, params: list[Array], grads: list[Array], states: list[list[Array]], numbers: Numbers
) -> None:
    flat = [[in_order(a).reshape(-1) for a in arrays] for arrays in (params, grads, *states)]  # some of them copies
    for p, *state in zip(params, *states, strict=True):
        if not all([a.flags.writeable for a in (p, *state)]):  # noqa: C419 - faster
            raise ValueError(
                f"optimizer step on a parameter of shape {p.shape}: it or its state is in read-only memory"
            )
    base, first = flat[0][0], _address(flat[0][0])
    places = [[(_address(a) - first) // a.itemsize for a in arrays] for arrays in flat]
    table = [
        (min(CHUNK, p.size - start), *[place + start for place in lying])
        for p, *lying in zip(flat[0], *places, strict=True)
        for start in range(0, p.size, CHUNK)
    ]
    work = sum([p.size for p in params]) * COST
    if capturing.tape is not None:
        capturing.tape.kept.append(flat)  # the table holds their addresses alone
    kernel_for[base.dtype](len(table), work, (base, np.array(table, np.int64).reshape(-1), numbers))
    for arrays, copies in ((params, flat[0]), *zip(states, flat[2:], strict=True)):
        for a, b in zip(arrays, copies, strict=True):
            if not np.may_share_memory(a, b):
                _write_back(a, b)


def _address(a: Array) -> int:
    if a.size and a.flags.writeable:
        return ctypes.addressof(ctypes.c_char.from_buffer(cast("Any", a)))  # a quarter of the time of what follows
    address: int = a.__array_interface__["data"][0]
    return address


@on_host
def _write_back(target: Array, source: Array) -> None:
    target[...] = source.reshape(target.shape)


def sgd_step(params: list[Array], grads: list[Array], velocities: list[Array] | None, numbers: Numbers) -> None:
    """See Backend.sgd_step."""
    if velocities is None:
        _step(_sgd, params, grads, [], numbers)
    else:
        _step(_momentum, params, grads, [velocities], numbers)


def adam_step(params: list[Array], grads: list[Array], m: list[Array], v: list[Array], numbers: Numbers) -> None:
    """See Backend.adam_step."""
    _step(_adam, params, grads, [m, v], numbers)
