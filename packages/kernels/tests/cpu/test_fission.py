"""Functions whose calls depend on one another: computed in parts, they equal the separate operations."""

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cpu import _fused
from stackgrad.kernels.cpu._fission import parts_of
from stackgrad.kernels.cpu._fused import BLOCK
from stackgrad.tensor import fuse


def nested(x, row, column):
    """Three nested calls, an independent one, and each result used again after the next call."""
    a = (x * row).exp()
    b = (a + column).log1p()
    c = (b - x).tanh() + a
    return (c * b).sigmoid() * row + (x * 0.5).sigmoid()


FUNCTIONS = {
    "softplus": lambda x, row, column: x.exp().log1p() + row,
    "nested": nested,
    "one call": lambda x, row, column: (x + column).tanh() * row,
    "beside": lambda x, row, column: x.exp() * column.tanh() + row.sigmoid(),
    "several results": lambda x, row, column: (x.tanh().exp(), x.tanh() * row, column.exp().tanh() + x),
    "sums": lambda x, row, column: (nested(x, row, column).sum(1), nested(x, row, column).mean(0)),
    "a condition": lambda x, row, column: (x > 0).where(x.exp().log1p(), row.tanh().exp()),
}


def values(rows, columns, dtype):
    rng = np.random.default_rng(rows * columns)
    shapes = (rows, columns), (columns,), (rows, 1)
    return [sg.from_numpy(rng.uniform(0.1, 1, shape).astype(dtype)) for shape in shapes]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_as_separate_operations(name, dtype):
    function = FUNCTIONS[name]
    fused = fuse(function)
    tolerance = 1e-5 if dtype == "float32" else 1e-13
    for rows, columns in ((3, 1), (2, BLOCK - 1), (1, BLOCK + 1), (3, 5 * BLOCK + 7)):
        x, row, column = values(rows, columns, dtype)
        expected, found = function(x, row, column), fused(x, row, column)
        pairs = zip(expected, found, strict=True) if isinstance(expected, tuple) else [(expected, found)]
        for a, b in pairs:
            np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=tolerance)
        other = fused(x.T.contiguous().T, row, column)  # walked along columns
        other, found = (out[0] if isinstance(out, tuple) else out for out in (other, found))
        np.testing.assert_allclose(other.numpy(), found.numpy(), rtol=1e-6)


def test_calls_are_made_before_those_that_depend_on_them(monkeypatch):
    stages = []
    plan = _fused._kernel
    monkeypatch.setattr(_fused, "_kernel", lambda stage, *how: stages.append(stage) or plan(stage, *how))
    x, row, column = values(3, 5, "float32")
    fuse(nested)(x, row, column)
    parts = parts_of(stages[0])
    made = [{part.lines[result.slot - len(part.operands)].op for result in part.results} for part in parts[:-1]]
    assert made == [{"exp", "sigmoid"}, {"log1p"}, {"tanh"}]
    assert [len(part.operands) - len(stages[0].operands) for part in parts] == [0, 2, 3, 4]
    assert parts[-1].results[0].slot == len(parts[-1].operands) + len(parts[-1].lines) - 1
    stages.clear()
    fuse(FUNCTIONS["one call"])(x, row, column)
    assert [part.lines for part in parts_of(stages[0])] == [stages[0].lines]
