"""Few output channels by many pixels: convolution by planes, for whole and partial rows and any neighbours."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import CpuBackend
from stackgrad.kernels.cpu.conv import _parts, _weight_grad
from stackgrad.kernels.cpu.conv._planes import fit
from stackgrad.tensor import NumpyBackend, Window

NUMPY, CPU = NumpyBackend(), CpuBackend()

WINDOWS = [
    Window((5, 5), (1, 1), ((2, 2), (2, 2))),
    Window((3, 3)),
    Window((3, 2), (2, 1), ((1, 0), (0, 3)), (1, 2)),
    Window((1, 3), (3, 1), ((0, 2), (1, 1)), (2, 1)),
]


def integers(rng, *shape):
    return rng.integers(-3, 4, shape).astype("float32")


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("inputs", [1, 4, 8])
@pytest.mark.parametrize("outputs", [4, 6])
@pytest.mark.parametrize("n", [0, 1, 37])
def test_every_pixel(n, outputs, inputs, window, poisoned):
    rng = np.random.default_rng(0)
    for height, width in ((5, 18), (11, 28), (6, 45)):
        if width == 28:
            assert fit(window, 1, window.positions((height, width))[1], outputs, inputs, np.dtype("float32"))
        x, weight, bias = (
            integers(rng, n, inputs, height, width),
            integers(rng, outputs, inputs, *window.kernel),
            integers(rng, outputs),
        )
        for relu in (False, True):
            y, saved = CPU.conv2d(x, weight, bias, window, 1, relu)
            exact, _ = NUMPY.conv2d(x, weight, bias, window, 1, relu)
            assert np.array_equal(y, exact)
            g = integers(rng, *y.shape)
            found = CPU.conv2d_grads(g, saved, weight, y if relu else None, window, 1, (True, True, True))
            wanted = NUMPY.conv2d_grads(g, x, weight, exact if relu else None, window, 1, (True, True, True))
            for a, b in zip(found, wanted, strict=True):
                assert np.array_equal(a, b)


def test_a_non_finite_value_affects_only_its_windows():
    window, weight = Window((3, 3)), np.ones((4, 1, 3, 3), "float32")
    x = np.ones((1, 1, 5, 30), "float32")
    x[0, 0, 2, 14] = np.inf
    y, _ = CPU.conv2d(x, weight, None, window, 1, False)
    assert np.array_equal(np.flatnonzero(~np.isfinite(y[0, 0, 0])), [12, 13, 14])
    assert not np.isnan(y).any()


@pytest.mark.parametrize("most", [100, 500, 2000])
def test_the_weight_gradient_is_split_by_images_without_a_copy(most, poisoned, monkeypatch):
    for module in (_parts, _weight_grad):
        monkeypatch.setattr(module, "MOST_PIXELS", most)
    rng = np.random.default_rng(0)
    for inputs, outputs in ((1, 6), (4, 8), (8, 4), (3, 5)):
        window = Window((3, 3), (1, 1), ((1, 1), (1, 1)))
        x, weight = integers(rng, 5, inputs, 12, 18), integers(rng, outputs, inputs, 3, 3)
        y, saved = CPU.conv2d(x, weight, None, window, 1, True)
        g = integers(rng, *y.shape)
        found = CPU.conv2d_grads(g, saved, weight, y, window, 1, (True, True, False))
        wanted = NUMPY.conv2d_grads(g, x, weight, y, window, 1, (True, True, False))
        assert np.array_equal(found[1], wanted[1]), (inputs, outputs)
