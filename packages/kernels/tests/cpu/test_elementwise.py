"""Elementwise kernels at the edges of their chunks, and the memory order of their results."""

import itertools

import numpy as np
import pytest

from stackgrad.kernels.cpu._elementwise import BLOCK, elementwise
from stackgrad.kernels.cpu._parallel import CHUNK
from stackgrad.tensor import OPS

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
SUB, WHERE, NEG, LT, EQ = (OPS[name] for name in ("sub", "where", "neg", "lt", "eq"))


def values(*shape, dtype="float32"):
    return np.array(RNG.standard_normal(shape), dtype)


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5])
def test_chunk_edges(run_serially, serial, size):
    run_serially(serial)
    x, y, scalar = values(size), values(size), values()
    assert np.array_equal(elementwise(SUB, x, y), x - y)
    assert np.array_equal(elementwise(SUB, x, scalar), x - scalar)
    assert np.array_equal(elementwise(SUB, scalar, x), scalar - x)
    assert np.array_equal(elementwise(SUB, x[::-1], y), x[::-1] - y)
    assert np.array_equal(elementwise(WHERE, x > 0, scalar, y), np.where(x > 0, scalar, y))
    assert np.array_equal(elementwise(WHERE, np.array(True), x, scalar), x)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("columns", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 100, CHUNK - 1, CHUNK + 1, 2 * CHUNK + 3])
def test_rows_at_chunk_edges(run_serially, serial, columns, dtype):
    run_serially(serial)
    for rows in {1, 3, CHUNK // columns, CHUNK // columns + 1} - {0}:
        x, row, column = (10 * values(*shape) for shape in ((rows, columns), (columns,), (rows, 1)))
        x, row, column = x.astype(dtype), row.astype(dtype), column.astype(dtype)
        assert np.array_equal(elementwise(SUB, x, row), x - row)
        assert np.array_equal(elementwise(SUB, column, x), column - x)
        assert np.array_equal(elementwise(SUB, x, column), x - column)
        assert np.array_equal(elementwise(SUB, column, row), column - row)
        wide = np.concatenate([column, x], 1)[:, 1:]
        assert np.array_equal(elementwise(NEG, wide), -wide)
        assert np.array_equal(elementwise(SUB, wide, x), wide - x)
        assert np.array_equal(elementwise(WHERE, wide > 0, x, row), np.where(wide > 0, x, row))
        assert np.array_equal(elementwise(LT, wide, row), wide < row)
        assert np.array_equal(elementwise(EQ, wide > 0, row > 0), (wide > 0) == (row > 0))


def test_more_dimensions_than_the_kernels_walk():
    x, y = values(2, 3, 1, 2, 3, 4), values(3, 2, 1, 3, 1)
    assert np.array_equal(elementwise(SUB, x, y), x - y)
    x = values(4, 3, 4, 3, 4, 3, 4)[::2, ::-1, ::2, ::-1, ::2, ::-1, ::2]
    assert np.array_equal(elementwise(NEG, x), -x)
    assert np.array_equal(elementwise(SUB, x, x.transpose(2, 1, 0, 3, 6, 5, 4)), x - x.transpose(2, 1, 0, 3, 6, 5, 4))
    x = values(2, 6, 2, 6, 2, BLOCK + 8)[:, ::-2, :, 1::2]
    assert np.array_equal(elementwise(NEG, x), -x)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_operands_of_one_layout_give_a_result_of_that_layout(order):
    x, y = (values(3, 4, 5).transpose(order) for _ in range(2))
    out = elementwise(SUB, x, y)
    assert np.array_equal(out, x - y)
    assert out.strides == x.strides
    out = elementwise(SUB, x, values())
    assert out.strides == x.strides


def test_adding_a_bias_keeps_channels_last_memory():
    x, bias = values(2, 5, 6, 3).transpose(0, 3, 1, 2), values(3, 1, 1)
    out = elementwise(SUB, x, bias)
    assert np.array_equal(out, x - bias)
    assert out.strides == x.strides


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3, 2), (1, 0, 1)])
def test_no_elements(shape):
    x = values(*shape)
    for other in (x, values(), values(*[1] * len(shape)), x.T if x.shape == x.T.shape else x):
        out = elementwise(SUB, x, other)
        assert out.shape == shape
        assert out.dtype == np.float32


def test_no_dimensions():
    out = elementwise(SUB, values(), np.array(2, np.float32))
    assert out.shape == ()
    assert type(out) is np.ndarray


def test_offsets_beyond_32_bits():
    x = np.zeros(9 << 28, bool)[:: 1 << 28]  # only nine pages of it are ever touched
    x[8] = True
    assert elementwise(OPS["bitwise_xor"], x, np.array(True)).tolist() == [True] * 8 + [False]


@pytest.mark.parametrize("name", sorted(OPS))
def test_the_scalar_form_of_every_op_takes_a_scalar_from_each_operand(name):
    op = OPS[name]
    dtype = "float32" if "f" in op.accepts else "int64"
    operands = [np.ones((), dtype) for _ in range(op.arity)]
    if name == "where":
        operands[0] = np.ones((), bool)
    out = elementwise(op, *operands)
    assert out.dtype == (bool if op.result == "bool" else dtype)
    expected = np.asarray(op.numpy(*operands), out.dtype)
    assert np.allclose(out, expected, rtol=1e-6)


def test_powers_of_integers_wrap_around_as_in_numpy():
    x = np.array([[3], [-7], [10], [2], [-1], [0]])
    y = np.array([0, 1, 2, 39, 63, 64, 65_537, 100_001])
    with np.errstate(over="ignore"):
        expected = x**y
    found = elementwise(OPS["pow"], *np.broadcast_arrays(x, y))
    assert found.tolist() == expected.tolist()
