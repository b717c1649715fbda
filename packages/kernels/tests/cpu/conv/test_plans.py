"""Plans are found by layouts alone: their launches are correct for all operands with those layouts."""

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad.kernels.cpu import CpuBackend, _channels_last
from stackgrad.kernels.cpu._matmul import matmul
from stackgrad.kernels.cpu.conv import _forward, _input_grad, _weight_grad
from stackgrad.kernels.cpu.conv._input_grad import flipped
from stackgrad.tensor import NumpyBackend, Window

RNG = np.random.default_rng(0)
NUMPY, CPU = NumpyBackend(), CpuBackend()

WINDOWS = [
    Window((3, 3), (1, 1), ((1, 1), (1, 1))),
    Window((2, 3), (2, 1), ((0, 1), (2, 0)), (1, 2)),
    Window((5, 5)),
    Window((1, 1)),
]


def integers(*shape):
    return RNG.integers(-3, 4, shape).astype("float32")


def lent(x):
    """x in channels-last memory from the pool, past which kernels may read."""
    return _channels_last.channels_first(_channels_last.channels_last(np.ascontiguousarray(x)))


def own(x):
    """The same in NumPy's own memory, past which nothing may be read."""
    return np.copy(lent(x), order="K")


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize(("channels", "out", "groups"), [(1, 6, 1), (6, 16, 1), (20, 18, 1), (4, 8, 2), (3, 3, 3)])
def test_one_plan_for_all_operands_of_a_layout(channels, out, groups, window):
    weight, bias = integers(out, channels // groups, *window.kernel), integers(out)
    for relu in (False, True):
        for arranged in (lent, own, lent, np.ascontiguousarray):
            for offset in (None, bias, np.repeat(bias, 2)[::2]):
                x = arranged(integers(12, channels, 14, 14))
                y, image = CPU.conv2d(x, weight, offset, window, groups, relu)
                exact, _ = NUMPY.conv2d(x, weight, offset, window, groups, relu)
                assert np.array_equal(y, exact)
                g, kept = arranged(integers(*y.shape)), y if relu else None
                found = CPU.conv2d_grads(g, image, weight, kept, window, groups, (True, True, True))
                expected = NUMPY.conv2d_grads(g, x, weight, kept, window, groups, (True, True, True))
                for ours, its in zip(found, expected, strict=True):
                    assert np.array_equal(ours, its)


def test_a_second_call_finds_its_plans():
    x, weight, window = lent(integers(2, 6, 14, 14)), integers(16, 6, 5, 5), WINDOWS[2]

    def step():
        y, image = CPU.conv2d(x, weight, None, window, 1, True)
        CPU.conv2d_grads(lent(np.ones_like(y)), image, weight, y, window, 1, (True, True, True))
        return [len(module._plans._made) for module in (_forward, _input_grad, _weight_grad)]

    assert step() == step()


def test_the_flipped_weight_is_a_view():
    weight = integers(5, 4, 3, 2)
    assert np.shares_memory(flipped(weight), weight)
    g, window = integers(2, 5, 6, 7), Window((3, 2))
    back = Window((3, 2), padding=((2, 2), (1, 1)))
    theorem, _ = NUMPY.conv2d(g, flipped(weight), None, back, 1, False)
    assert np.array_equal(theorem, NUMPY.conv2d_input_grad(g, weight, (8, 8), window, 1))


def test_one_plan_for_all_products_of_a_layout():
    for n, k, m in ((5, 7, 9), (40, 300, 20), (600, 300, 20)):
        a, b, bias = integers(n, k), integers(k, m), integers(m)
        for offset in (None, bias, np.repeat(bias, 2)[::2], None):
            assert np.array_equal(matmul(a, b, offset), a @ b + (0 if offset is None else offset))
            assert np.array_equal(matmul(a, b, offset, True), np.maximum(a @ b + (0 if offset is None else offset), 0))


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("relu", [False, True])
def test_backward_notices_that_an_operand_was_changed(backend, relu):
    def grads(change=lambda *tensors: None):
        x, w, b = (
            sg.from_numpy(integers(*s), backend=backend).requires_grad_() for s in ((4, 3, 30, 30), (8, 3, 3, 3), (8,))
        )
        inner = x * 1.0
        out = sg.conv2d(inner, w, b, padding=((1, 1), (1, 1)), activation="relu" if relu else None)
        change(inner, w, b, out)
        out.sum().backward()
        return x, w, b

    def double(tensor):
        with sg.no_grad():
            tensor.mul_(2.0)

    assert all(leaf.grad is not None for leaf in grads())
    for change in (lambda x, w, b, out: double(x), lambda x, w, b, out: double(w)):
        with pytest.raises(RuntimeError, match="changed in place"):
            grads(change)
    if relu:
        with pytest.raises(RuntimeError, match="changed in place"):
            grads(lambda x, w, b, out: double(out))
    grads(lambda x, w, b, out: double(b))
