"""Reductions at the edges of their pieces, with small integers, whose sums are exact."""

import numpy as np
import pytest

from stackgrad.kernels.cpu._cumsum import cumsum
from stackgrad.kernels.cpu._reduce import COLUMNS, LANES, PIECE, PIECE_OF_ROWS, arg_reduce, reduce
from stackgrad.kernels.cpu._vector_fold import FEWEST
from stackgrad.tensor import REDUCTIONS

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
SUM, MAX, MIN = REDUCTIONS["sum"], REDUCTIONS["max"], REDUCTIONS["min"]


def integers(*shape, dtype="float32"):
    return RNG.integers(-3, 4, shape).astype(dtype)


SIZES = sorted({1, 2, *(n + d for n in (LANES, 2 * LANES, PIECE, 2 * PIECE, PIECE * 9) for d in (-1, 0, 1))})


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_adjacent_elements(run_serially, serial, size):
    run_serially(serial)
    x = integers(3, size)
    assert np.array_equal(reduce(SUM, x, (1,)), x.sum(1))
    assert np.array_equal(reduce(MAX, x, (0, 1)), x.max())
    assert np.array_equal(reduce(SUM, x[:, ::-1], (1,)), x.sum(1))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_rows_whose_last_vectors_are_partly_filled(dtype):
    for size in range(FEWEST - 1, 2 * LANES + 1):
        x = integers(2, size, dtype=dtype)
        assert np.array_equal(reduce(SUM, x, (1,)), x.sum(1))
        x -= 5  # so that zero is not the maximum
        assert np.array_equal(reduce(MAX, x, (1,)), x.max(1))
        assert np.array_equal(reduce(MIN, -x, (1,)), (-x).min(1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [FEWEST - 1, FEWEST, FEWEST + 1, 2 * FEWEST + 3])
def test_an_extreme_with_nan_is_nan(size, dtype):
    x = integers(size, dtype=dtype)
    for i in range(size):
        kept, x[i] = x[i], np.nan
        assert np.isnan(reduce(MAX, x, (0,)))
        assert np.isnan(reduce(MIN, x, (0,)))
        x[i] = kept
    assert reduce(MAX, np.full(size, -np.inf, dtype), (0,)) == -np.inf


def test_a_sum_of_infinities_and_of_signed_zeros():
    x = np.zeros(LANES + 1, np.float32)
    for i in range(x.size):
        x[i] = np.inf
        assert reduce(SUM, x, (0,)).item() == np.inf
        x[i] = 0
    assert np.signbit(reduce(SUM, np.full(LANES + 1, -0.0, np.float32), (0,)))


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("rows", [1, 2, PIECE_OF_ROWS - 1, PIECE_OF_ROWS, PIECE_OF_ROWS + 1, 5 * PIECE_OF_ROWS + 7])
@pytest.mark.parametrize("columns", [2, 3, COLUMNS - 1, COLUMNS, COLUMNS + 1, 2 * COLUMNS + 3])
def test_whole_rows(run_serially, serial, rows, columns):
    run_serially(serial)
    x = integers(rows, columns)
    assert np.array_equal(reduce(SUM, x, (0,)), x.sum(0))


@pytest.mark.parametrize("dims", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_any_dims_of_any_order_of_memory(dims, order):
    x = integers(7, 8, 9).transpose(order)
    assert np.array_equal(reduce(SUM, x, dims), x.sum(dims))
    assert np.array_equal(reduce(MAX, x[::2, ::-1], dims), x[::2, ::-1].max(dims))


def test_pieces_that_are_summed_in_pieces():
    x = np.ones(PIECE * PIECE + 1, np.float64)
    assert reduce(SUM, x, (0,)).item() == PIECE * PIECE + 1


def test_a_long_sum_of_float32_stays_accurate():
    assert reduce(SUM, np.full(10_000_000, 0.1, np.float32), (0,)).item() == pytest.approx(1e6, rel=1e-6)


@pytest.mark.parametrize("name", ["sum", "prod"])
@pytest.mark.parametrize(("shape", "dims"), [((0,), (0,)), ((3, 0), (1,)), ((0, 3), (0,)), ((2, 0, 3), (0, 1))])
def test_no_elements_give_the_start(name, shape, dims):
    out = reduce(REDUCTIONS[name], np.ones(shape, np.float32), dims)
    expected = getattr(np, name)(np.ones(shape, np.float32), dims)
    assert out.shape == expected.shape
    assert np.array_equal(out, expected)
    assert out.dtype == np.float32


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 5), (5, 1)])
def test_the_result_is_never_a_view_of_the_operand(shape):
    x = integers(*shape)
    for dims in ((0,), (len(shape) - 1,)):
        out = reduce(SUM, x, dims)
        expected = x.sum(dims)
        x += 1
        assert np.array_equal(out, expected)
        x -= 1


def test_nan_anywhere_is_found_by_max():
    for size in (5, 17, PIECE + 3):
        for index in (0, size // 2, size - 1):
            x = integers(size)
            x[index] = np.nan
            assert np.isnan(reduce(MAX, x, (0,)))
            assert arg_reduce("max", x, 0) == arg_reduce("min", x, 0) == index


@pytest.mark.parametrize("serial", [True, False])
def test_running_sums_and_indices_along_any_dim(run_serially, serial):
    run_serially(serial)
    x = integers(40, 31, 29)
    for dim in range(3):
        for view in (x, x.transpose(2, 0, 1), x[::-2]):
            assert np.array_equal(cumsum(view, dim), np.cumsum(view, dim))
            assert np.array_equal(arg_reduce("max", view, dim), np.argmax(view, dim))
            assert np.array_equal(arg_reduce("min", view, dim), np.argmin(view, dim))


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_running_sums_of_no_elements(shape):
    for dim in range(len(shape)):
        assert cumsum(np.ones(shape), dim).shape == shape


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("shape", [(1, 5), (4, 1), (1, 1), (4, 5)])
def test_repeated_elements(name, dtype, shape):
    few = np.resize(np.array([1, 2, 1], dtype), (1, *shape))
    many = np.broadcast_to(few, (3, 4, 5))
    for dims in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
        expected = getattr(many.astype("float64"), name)(dims)
        result = reduce(REDUCTIONS[name], many, dims)
        assert result.dtype == dtype
        assert np.allclose(result, expected, rtol=1e-5)
        assert 0 not in result.strides, "it must be a new array, which can be written to"
