"""Optimizer steps write to parameters of any layout, and to nothing else."""

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cpu import _optim
from stackgrad.kernels.cpu._parallel import CHUNK

RNG = np.random.default_rng(0)

LAYOUTS = {
    "in C order": lambda base: base[:6, :8],
    "whole": lambda base: base,
    "transposed": lambda base: base.T,
    "with steps": lambda base: base[::2, 1::3],
    "backwards": lambda base: base[::-1, ::-1],
    "one column": lambda base: base[:, 3],
    "one row backwards": lambda base: base[4, ::-2],
    "one element": lambda base: base[2:3, 5:6],
    "no elements": lambda base: base[:0],
}
SGD = [(0.0, False, 0.0), (0.9, False, 0.1), (0.9, True, 0.1)]
ADAM = [(0.0, False), (0.1, False), (0.1, True)]


def bases(count, dtype):
    return [RNG.uniform(0.1, 2, (12, 20)).astype(dtype) for _ in range(count)]


def expect_only_the_view_changed(base, before, view, exact):
    assert np.allclose(view, exact, rtol=0, atol=1e-6 if view.dtype == np.float32 else 1e-14)
    inside = np.zeros(base.shape, bool)
    position = (view.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // base.itemsize
    strides = tuple(stride // base.itemsize for stride in view.strides)
    for index in np.ndindex(view.shape):
        inside.flat[position + sum(i * s for i, s in zip(index, strides, strict=True))] = True
    assert np.array_equal(base[~inside], before[~inside])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("momentum", "nesterov", "decay"), SGD)
def test_sgd(dtype, layout, momentum, nesterov, decay):
    (p_base, v_base), g = bases(2, dtype), LAYOUTS[layout](bases(1, dtype)[0])
    p, v = LAYOUTS[layout](p_base), LAYOUTS[layout](v_base)
    p_before, v_before, wide_p, wide_v = p_base.copy(), v_base.copy(), p.astype(float), v.astype(float)
    _optim.sgd_step([p], [g], [v] if momentum else None, sg.sgd_numbers(0.1, momentum, nesterov, decay))
    step = g + decay * wide_p
    if momentum:
        wide_v = momentum * wide_v + step
        step = step + momentum * wide_v if nesterov else wide_v
    expect_only_the_view_changed(p_base, p_before, p, wide_p - 0.1 * step)
    expect_only_the_view_changed(v_base, v_before, v, wide_v)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("decay", "decoupled"), ADAM)
def test_adam(dtype, layout, decay, decoupled):
    written = bases(3, dtype)
    before = [base.copy() for base in written]
    p, m, v = (LAYOUTS[layout](base) for base in written)
    g = LAYOUTS[layout](bases(1, dtype)[0])
    wide_p, wide_m, wide_v = (x.astype(float) for x in (p, m, v))
    _optim.adam_step([p], [g], [m], [v], sg.adam_numbers(3, 0.01, (0.9, 0.99), 1e-8, decay, decoupled))
    if decoupled:
        wide_p *= 1 - 0.01 * decay
    grad = g + (0 if decoupled else decay) * wide_p
    wide_m, wide_v = 0.9 * wide_m + 0.1 * grad, 0.99 * wide_v + 0.01 * grad**2
    wide_p -= 0.01 * (wide_m / (1 - 0.9**3)) / (np.sqrt(wide_v / (1 - 0.99**3)) + 1e-8)
    for base, old, view, exact in zip(written, before, (p, m, v), (wide_p, wide_m, wide_v), strict=True):
        expect_only_the_view_changed(base, old, view, exact)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("names", [["whole", "in C order"], list(LAYOUTS), [*LAYOUTS, "whole"] * 2])
def test_all_parameters_at_once_equal_one_by_one(names, dtype):
    numbers = sg.sgd_numbers(0.1, 0.9, True, 0.1), sg.adam_numbers(3, 0.01, (0.9, 0.99), 1e-8, 0.1, False)
    given = [[LAYOUTS[name](base) for base in bases(4, dtype)] for name in names]
    alone, together = ([[np.copy(a, order="K") for a in arrays] for arrays in given] for _ in range(2))
    for p, g, m, v in alone:
        _optim.sgd_step([p], [g], [m], numbers[0])
        _optim.adam_step([p], [g], [m], [v], numbers[1])
    p, g, m, v = ([arrays[i] for arrays in together] for i in range(4))
    _optim.sgd_step(p, g, m, numbers[0])
    _optim.adam_step(p, g, m, v, numbers[1])
    for one, of_all, before in zip(alone, together, given, strict=True):
        for i, (a, b) in enumerate(zip(one, of_all, strict=True)):
            assert np.array_equal(a, b)
            assert i == 1 or not a.size or not np.array_equal(a, before[i])


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 4 * CHUNK + 3])
def test_chunk_edges(run_serially, serial, size):
    run_serially(serial)
    p, g = np.ones(size, np.float32), np.arange(size, dtype=np.float32)
    _optim.sgd_step([p], [g], None, sg.sgd_numbers(0.5, 0.0, False, 0.0))
    assert np.array_equal(p, 1 - g / 2)


def test_read_only_memory_is_not_written():
    parameter, state = np.ones(5, np.float32), np.ones(5, np.float32)
    grad = sg.ones(5)
    for locked in (parameter, state):
        locked.flags.writeable = False
        p, v = sg.from_numpy(parameter), sg.from_numpy(state)
        with pytest.raises(ValueError, match=r"optimizer step to a tensor of shape \(5,\) in read-only memory"):
            sg.sgd_step([p], [grad], [v], sg.sgd_numbers(0.1, 0.9))
        with pytest.raises(ValueError, match="read-only"):
            sg.adam_step([p], [grad], [v], [v], sg.adam_numbers(1, 0.1))
        locked.flags.writeable = True
    assert parameter.tolist() == state.tolist() == [1] * 5
