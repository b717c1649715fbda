"""Optimizer steps: one launch for all parameters, their gradients and their states.

The parameters are cut into chunks, one for each block. A table in device memory has the number of elements of each
chunk, and their offsets in the parameter, the gradient and each state, in elements from address 0:

    parameters |weight ...............|bias|weight ....|
    chunks     |   0   |   1   |   2  | 3  |   4   | 5 |      block b works on chunk b
    table      |count, weight, gradient, states ...| ...

The numbers of the step, such as the learning rate, are in device memory, too: each replay of a captured function writes
them again, while the table is constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._array import DeviceArray, constant, from_numpy
from ._copy import assign, contiguous
from ._driver import cuda, device
from ._kernel import BLOCK, Kernel, T, either, int64, kernel, pointer
from ._math import sqrt

Numbers = NDArray[np.float64]

CHUNK = either(1024, simulated=8)  # elements


def _arguments(T: Any) -> tuple[Any, ...]:
    return pointer(T), pointer(int64), pointer(T)


@kernel(_arguments)
def _sgd(memory, table, numbers):
    at = 3 * cuda.blockIdx.x
    count, p, g = table[at], table[at + 1], table[at + 2]
    lr, weight_decay = numbers[0], numbers[3]
    i = cuda.threadIdx.x
    while i < count:
        value = memory[p + i]
        memory[p + i] = value - lr * (memory[g + i] + weight_decay * value)
        i += BLOCK


@kernel(_arguments)
def _momentum(memory, table, numbers):
    at = 4 * cuda.blockIdx.x
    count, p, g, v = table[at], table[at + 1], table[at + 2], table[at + 3]
    lr, momentum, nesterov, weight_decay, undamped = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    i = cuda.threadIdx.x
    while i < count:
        value = memory[p + i]
        grad = memory[g + i] + weight_decay * value
        velocity = momentum * memory[v + i] + undamped * grad
        memory[v + i] = velocity
        memory[p + i] = value - lr * (grad + momentum * velocity if nesterov != T(0) else velocity)
        i += BLOCK


@kernel(_arguments)
def _adam(memory, table, numbers):
    at = 5 * cuda.blockIdx.x
    count, p, g, m, v = table[at], table[at + 1], table[at + 2], table[at + 3], table[at + 4]
    rate, beta1, rest1, beta2, rest2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    scale2, eps, weight_decay, shrink = numbers[5], numbers[6], numbers[7], numbers[8]
    i = cuda.threadIdx.x
    while i < count:
        value = memory[p + i] * shrink
        grad = memory[g + i] + weight_decay * value
        mean = beta1 * memory[m + i] + rest1 * grad
        square = beta2 * memory[v + i] + rest2 * (grad * grad)
        memory[m + i] = mean
        memory[v + i] = square
        memory[p + i] = value - rate * mean / (sqrt(square * scale2) + eps)
        i += BLOCK


def _step(
    kernel_for: Kernel,
    params: list[DeviceArray],
    grads: list[DeviceArray],
    states: list[list[DeviceArray]],
    numbers: Numbers,
) -> None:
    flat = [[contiguous(a) for a in arrays] for arrays in (params, grads, *states)]  # some arrays are copies
    table = [
        (min(CHUNK, p.size - start), *[offset + start for offset in offsets])
        for p, *offsets in zip(flat[0], *[[_offset(a) for a in arrays] for arrays in flat], strict=True)
        for start in range(0, p.size, CHUNK)
    ]
    if not table:
        return
    dtype = params[0].dtype
    arguments = device().anywhere(dtype), constant(np.array(table, np.int64)), from_numpy(numbers, dtype)
    kernel_for[dtype](len(table), *arguments, keep=flat)  # the table has only their addresses
    for arrays, copies in ((params, flat[0]), *zip(states, flat[2:], strict=True)):
        for a, b in zip(arrays, copies, strict=True):
            if a is not b:
                assign(a, b)


def _offset(a: DeviceArray) -> int:
    """Its offset from address 0, in elements."""
    return device().address(a.owner.memory) // a.dtype.itemsize + a.offset


def sgd_step(
    params: list[DeviceArray], grads: list[DeviceArray], velocities: list[DeviceArray] | None, numbers: Numbers
) -> None:
    """See Backend.sgd_step."""
    if velocities is None:
        _step(_sgd, params, grads, [], numbers)
    else:
        _step(_momentum, params, grads, [velocities], numbers)


def adam_step(
    params: list[DeviceArray], grads: list[DeviceArray], m: list[DeviceArray], v: list[DeviceArray], numbers: Numbers
) -> None:
    """See Backend.adam_step."""
    _step(_adam, params, grads, [m, v], numbers)
