"""Functions of single numbers, where the table of cases does not reach."""

import numpy as np
import pytest

from stackgrad.tensor import from_numpy, zeros


def test_powers_of_integers_wrap_round_as_numpys():
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
    "a number": lambda backend: zeros((), backend=backend),
}


@pytest.mark.parametrize("first", LAYOUTS)
@pytest.mark.parametrize("second", LAYOUTS)
def test_results_lie_as_those_of_the_cpu(first, second):
    found, expected = ((LAYOUTS[first](backend) + LAYOUTS[second](backend)).data for backend in ("cuda", "cpu"))
    long = [d for d, extent in enumerate(expected.shape) if extent != 1]
    assert [found.strides[d] * found.dtype.itemsize for d in long] == [expected.strides[d] for d in long]
