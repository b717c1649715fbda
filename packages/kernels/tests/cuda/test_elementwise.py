"""Elementwise functions, beyond the table of cases."""

import numpy as np
import pytest

from stackgrad.kernels.cuda import _elementwise, _math
from stackgrad.tensor import from_numpy, zeros
from stackgrad.tensor._shape import broadcast_shapes

RNG = np.random.default_rng(0)


def test_powers_of_integers_wrap_around_as_in_numpy():
    x = np.array([[3], [-7], [10], [2], [-1], [0]])
    y = np.array([0, 1, 2, 39, 63, 64, 65_537, 100_001])
    with np.errstate(over="ignore"):
        expected = x**y
    found = from_numpy(x, backend="cuda") ** from_numpy(y, backend="cuda")
    assert found.numpy().tolist() == expected.tolist()
    assert abs(expected).max() > 2**53


LAYOUTS = {
    "in order": lambda backend: zeros(2, 3, 4, backend=backend),
    "transposed": lambda backend: zeros(4, 2, 3, backend=backend).permute(1, 2, 0),
    "expanded": lambda backend: zeros(3, 1, backend=backend).expand(2, 3, 4),
    "of one row": lambda backend: zeros(4, 1, 2, backend=backend).permute(2, 1, 0),
    "with steps": lambda backend: zeros(2, 6, 8, backend=backend)[:, ::2, ::2],
    "a scalar": lambda backend: zeros((), backend=backend),
}


@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_results_have_the_layout_of_the_cpu(first, second):
    found, expected = ((LAYOUTS[first](backend) + LAYOUTS[second](backend)).data for backend in ("cuda", "cpu"))
    long = [d for d, extent in enumerate(expected.shape) if extent != 1]
    assert [found.strides[d] * found.dtype.itemsize for d in long] == [expected.strides[d] for d in long]


def test_a_plan_serves_operands_anywhere_in_memory(monkeypatch):
    made = []
    monkeypatch.setattr(
        _elementwise, "broadcast_shapes", lambda *shapes: made.append(shapes) or broadcast_shapes(*shapes)
    )
    array = np.arange(40.0).reshape(4, 10)
    x = from_numpy(array, backend="cuda")
    for i in range(4):
        assert (x[i, ::3] * x[i, 1:9:2]).tolist() == (array[i, ::3] * array[i, 1:9:2]).tolist()
    assert made == [((4,), (4,))]


def test_more_dimensions_than_a_kernel_walks_over():
    array = RNG.standard_normal((2, 3, 2, 3, 2, 3))
    x = from_numpy(array, backend="cuda")
    transposed, other = x.permute(5, 4, 3, 2, 1, 0), x[:1].permute(5, 4, 3, 2, 1, 0)
    for _ in range(2):
        np.testing.assert_array_equal((transposed + other).numpy(), array.T + array[:1].T)
        np.testing.assert_array_equal(
            (x[..., 0:1] * transposed.permute(5, 4, 3, 2, 1, 0)).numpy(), array[..., 0:1] * array
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rint_rounds_ties_to_even(dtype):
    x = np.array([-2.5, -1.5, -0.5, -0.3, 0.0, 0.4999999, 0.5, 1.5, 2.5, 2.6, 8388609.0, 1e30, np.inf, -np.inf], dtype)
    x = np.concatenate([x, np.random.default_rng(0).normal(0, 100, 1000).astype(dtype), [dtype(np.nan)]])
    with np.errstate(invalid="ignore"):
        found = [_math.rint(value) for value in x]
    np.testing.assert_array_equal(found, np.rint(x))
