"""Cases of copies, views, indexing, random numbers and optimizer steps."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Backend
from .._dtypes import float32, float64, int64
from .._optim import adam_numbers, sgd_numbers
from .._tensor import Tensor
from .._types import Shape
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, sum_bound
from ._draw import REFERENCE, Draw, Sample, uniform
from ._keys import draw_key


def check_copy(backend: Backend, draw: Draw) -> None:
    """A copy of any layout, with or without a cast, is in C order and shares no memory; so are `empty` and `full`."""
    dtype, wanted = draw.dtype("bif"), draw.dtype("bif")
    shape = draw.shape()
    sample = draw.sample(shape, uniform(dtype, -3, 3))
    source = sample.on(backend)
    for found, expected in (
        (backend.copy(source), sample.numpy()),
        (backend.copy(source, wanted), sample.numpy().astype(wanted)),
        (backend.full(shape, 1, wanted), np.ones(shape, wanted)),
        (backend.constant(-1, wanted), np.array(-1).astype(wanted)),
    ):
        expect_equal(f"copy of {sample}", backend, found, expected)
        if not backend.is_contiguous(found):
            raise AssertionError(f"copy of {shape} on {backend.name} is not in C order")
    backend.assign(source_copy := backend.copy(source), backend.full(shape, 0, dtype))
    expect_equal("assign", backend, source_copy, np.zeros(shape, dtype))
    expect_equal("what was copied", backend, source, sample.numpy())
    blank = backend.empty(shape, wanted)
    if blank.shape != shape or blank.dtype != wanted:
        raise AssertionError(f"empty {shape}, {wanted} on {backend.name} gave {blank.shape}, {blank.dtype}")


def check_assign(backend: Backend, draw: Draw) -> None:
    """A broadcast value written into a view of any layout changes that view only."""
    dtype, shape = draw.dtype("bif"), draw.shape()
    target, source = draw.sample(shape, uniform(dtype)).writable(), draw.sample(draw.narrowed(shape), uniform(dtype))
    written = []
    for where in (backend, REFERENCE):
        base = where.from_numpy(target.base.copy())
        where.assign(target.view_on(where, base), source.on(where))
        written.append(base)
    expect_equal(f"assign to {target}", backend, written[0], np.asarray(written[1]))


def check_overlapping_assign(backend: Backend, draw: Draw) -> None:
    """x[a:] = x[:b] acts as if the source were copied first, in both directions and reversed."""
    n = draw.integer(2, max(draw.limits.size, 2))
    by, step = draw.integer(0, 3), draw.choice([1, -1])
    by = min(by, n - 1)
    array = np.arange(n, dtype=draw.dtype("if"))
    keys: list[tuple[slice, ...]] = [(slice(by, n),), (slice(0, n - by),)]
    if draw.one_in(2):
        keys.reverse()
    if step < 0:
        keys[1] = (slice(keys[1][0].stop - 1, keys[1][0].start - 1 if keys[1][0].start else None, -1),)
    memory = backend.from_numpy(array.copy())
    backend.assign(backend.slice(memory, keys[0]), backend.slice(memory, keys[1]))
    expected = array.copy()
    expected[keys[0]] = array[keys[1]]
    expect_equal(f"x[{keys[0]}] = x[{keys[1]}]", backend, memory, expected)


def check_reshape(backend: Backend, draw: Draw) -> None:
    """Elements keep their C order, and a contiguous array is not copied."""
    dtype, shape = draw.dtype("bif"), draw.shape()
    sample = draw.sample(shape, uniform(dtype))
    source = sample.on(backend)
    size = math.prod(shape)
    rows = draw.choice([n for n in range(1, size + 1) if size % n == 0][:20]) if size else 0
    wanted: Shape = draw.choice([(size,), (rows, size // rows if rows else 3), (1, *shape, 1)])
    found = backend.reshape(source, wanted)
    expect_equal(f"reshape of {sample} to {wanted}", backend, found, sample.numpy().reshape(wanted))
    if size and backend.is_contiguous(source) and not backend.shares_memory(found, source):
        raise AssertionError(f"reshape of a contiguous {shape} to {wanted} on {backend.name} is a copy")


def check_gather_scatter(backend: Backend, draw: Draw) -> None:
    """gather, scatter_add within `sum_bound`, scatter (the last of equal indices wins), nonzero."""
    dtype = draw.dtype()
    rows, width = draw.extent(1), draw.extent()
    count = draw.integer(0, max(draw.limits.size // max(width, 1), 1))
    a, g = draw.sample((rows, width), uniform(dtype)), draw.sample((count, width), uniform(dtype))
    index = Sample(draw.rng.integers(0, rows, count).astype(int64))
    indices, array, source = index.numpy(), a.numpy(), g.numpy()
    expect_equal("gather", backend, backend.gather(a.on(backend), index.on(backend)), array[indices])

    added, magnitude = np.zeros((2, rows, width))
    for i, row in enumerate(indices):
        added[row] += source[i]
        magnitude[row] += np.abs(source[i])
    found = backend.scatter_add(g.on(backend), index.on(backend), rows)
    expect_close("scatter_add", backend, found, added.astype(dtype), sum_bound(count, magnitude, dtype))

    written = array.copy()
    for i, row in enumerate(indices):
        written[row] = source[i]
    target = backend.from_numpy(array.copy())
    backend.scatter(target, index.on(backend), g.on(backend))
    expect_equal("scatter", backend, target, written)

    mask = draw.sample(draw.shape(1), uniform(np.dtype("bool")))
    for found, expected in zip(backend.nonzero(mask.on(backend)), mask.numpy().nonzero(), strict=True):
        expect_equal(f"nonzero of {mask}", backend, found, expected.astype(int64))


# --- indexing with tensors


def check_indexing(backend: Backend, draw: Draw) -> None:
    """x[key] and x[key] = value match NumPy, for integers, slices, None, ..., integer and bool arrays."""
    dtype, shape = draw.dtype("bif"), draw.shape()
    sample, key = draw.sample(shape, uniform(dtype, -9, 9)), draw_key(draw, shape)
    array = sample.numpy()
    expected = array[key]
    found = Tensor(sample.on(backend), backend)[key]
    expect_equal(f"x[{key}] of {sample}", backend, found.data, expected)

    value = draw.sample(draw.narrowed(expected.shape), uniform(dtype, -9, 9))
    target = Tensor(backend.copy(sample.on(backend)), backend)
    written = array.copy()
    target[key] = Tensor(value.on(backend), backend)
    written[key] = value.numpy()
    expect_equal(f"x[{key}] = value of {value} on {shape}", backend, target.data, written)


def check_indexing_gradient(order: int, backend: Backend, draw: Draw) -> None:
    shape = draw.small().shape()
    sample, key = draw.sample(shape, uniform(float64)), draw_key(draw, shape)
    check_gradient(lambda leaf: sample.view(leaf)[key], [sample.leaf(backend)], order)


# --- random numbers and optimizer steps


def check_uniform(backend: Backend, draw: Draw) -> None:
    """The values are bitwise equal to NumPy's, for any seed and draw, from any element on."""
    dtype, shape = draw.dtype(), draw.shape()
    seed, call, first = draw.integer(0, 2**64 - 1), draw.integer(0, 2**64 - 1), draw.integer(0, 2**40)
    which = np.array([seed, call, first], np.uint64)
    found, expected = backend.uniform(shape, dtype, which), REFERENCE.uniform(shape, dtype, which)
    expect_equal(f"uniform {shape}, seed {seed}, call {call}, element {first}", backend, found, expected)


Layers = list[tuple[list[Sample], list[NDArray[Any]]]]


def _draw_layers(draw: Draw, dtype: np.dtype[Any], arrays: int) -> Layers:
    """Up to three parameters with their states, in any writable layout, and the gradients of three steps."""
    layers = []
    for _ in range(draw.integer(1, 3)):
        shape = draw.shape()
        written = [draw.sample(shape, uniform(dtype, 0.1, 2)).writable() for _ in range(arrays)]
        layers.append((written, [draw.rng.uniform(-2, 2, shape).astype(dtype) for _ in range(3)]))
    return layers


def _expect_state(what: str, backend: Backend, found: list[Any], expected: list[NDArray[Any]]) -> None:
    for i, (part, exact) in enumerate(zip(found, expected, strict=True)):
        tolerance = 2e-5 if part.dtype == float32 else 1e-12
        expect_close(f"{what}: array {i}", backend, part, exact.astype(part.dtype), tolerance * (1 + np.abs(exact)))


def check_sgd_step(backend: Backend, draw: Draw) -> None:
    """Three steps, with and without momentum, its two variants and weight decay, match float64 formulas."""
    layers = _draw_layers(draw, draw.dtype(), 2)
    lr, decay = draw.choice([0.1, 1.0]), draw.choice([0.0, 0.1])
    momentum = draw.choice([0.0, 0.9])
    nesterov = bool(momentum) and draw.one_in(2)
    dampening = 0.0 if nesterov else draw.choice([0.0, 0.25])
    params, velocities = ([written[i].on(backend) for written, _ in layers] for i in range(2))
    for step in range(3):
        grads = [backend.from_numpy(slopes[step].copy()) for _, slopes in layers]
        numbers = sgd_numbers(lr, momentum, nesterov, decay, dampening)
        columns = (params, grads, velocities) if momentum else (params, grads)
        backend.plan_step("sgd_step", *columns)(numbers, *columns)
    for p, velocity, (written, slopes) in zip(params, velocities, layers, strict=True):
        exact_p, exact_v = (sample.numpy().astype(float64) for sample in written)
        for g in slopes:
            wide = g.astype(float64) + decay * exact_p
            if momentum:
                exact_v = momentum * exact_v + (1 - dampening) * wide
                wide = wide + momentum * exact_v if nesterov else exact_v
            exact_p = exact_p - lr * wide
        _expect_state("sgd_step", backend, [p, velocity], [exact_p, exact_v])


def check_adam_step(backend: Backend, draw: Draw) -> None:
    """Three steps of Adam and AdamW match float64 formulas."""
    layers = _draw_layers(draw, draw.dtype(), 3)
    decay, decoupled = draw.choice([0.0, 0.1]), draw.one_in(2)
    lr, eps, (b1, b2) = 0.1, draw.choice([1e-8, 1e-3]), draw.choice([(0.9, 0.999), (0.5, 0.9)])
    params, ms, vs = ([written[i].on(backend) for written, _ in layers] for i in range(3))
    for step in range(3):
        grads = [backend.from_numpy(slopes[step].copy()) for _, slopes in layers]
        numbers = adam_numbers(step + 1, lr, (b1, b2), eps, decay, decoupled)
        backend.plan_step("adam_step", params, grads, ms, vs)(numbers, params, grads, ms, vs)
    for p, m, v, (written, slopes) in zip(params, ms, vs, layers, strict=True):
        exact_p, exact_m, exact_v = (sample.numpy().astype(float64) for sample in written)
        for step, g in enumerate(slopes, 1):
            wide = g.astype(float64) + (0 if decoupled else decay * exact_p)
            exact_p = exact_p * (1 - lr * decay) if decoupled else exact_p
            exact_m = b1 * exact_m + (1 - b1) * wide
            exact_v = b2 * exact_v + (1 - b2) * wide**2
            exact_p = exact_p - lr * (exact_m / (1 - b1**step)) / (np.sqrt(exact_v / (1 - b2**step)) + eps)
        _expect_state("adam_step", backend, [p, m, v], [exact_p, exact_m, exact_v])


MEMORY_CASES: tuple[Case, ...] = (
    Case("copy", "values", check_copy),
    Case("assign", "values", check_assign),
    Case("assign-overlapping", "values", check_overlapping_assign),
    Case("reshape", "values", check_reshape),
    Case("gather-scatter", "values", check_gather_scatter),
    Case("indexing", "values", check_indexing),
    Case("indexing", "gradient", partial(check_indexing_gradient, 1)),
    Case("indexing", "second", partial(check_indexing_gradient, 2)),
    Case("uniform", "values", check_uniform),
    Case("sgd_step", "values", check_sgd_step),
    Case("adam_step", "values", check_adam_step),
)
