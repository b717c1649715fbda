"""Matrix products at the edges of their tiles, with small integers, whose sums are exact."""

import itertools

import numpy as np
import pytest

from stackgrad.kernels.cpu._matmul import (
    BLOCK_ROWS,
    COLUMNS,
    DEPTH,
    LONGEST,
    PANELS,
    ROWS,
    SMALL,
    linear,
    matmul,
)

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)


def integers(*shape, dtype="float32"):
    return RNG.integers(-3, 4, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, ROWS - 1, ROWS, ROWS + 1, 12, 13, 25])
@pytest.mark.parametrize("m", [1, 3, 7, 8, 9, 15, 16, 17, 255, 256, 257])
def test_tile_edges(dtype, n, m):
    for k in (1, 2, 19):
        a, b = integers(n, k, dtype=dtype), integers(k, m, dtype=dtype)
        assert np.array_equal(matmul(a, b), a @ b)
        assert np.array_equal(matmul(a.T.copy().T, b.T.copy().T), a @ b)
        assert np.array_equal(matmul(a[::-1, ::-1], b[::-1]), a[::-1, ::-1] @ b[::-1])


PARTS = [
    lambda n, m: integers(n, m + 3)[:, :m],
    lambda n, m: integers(n, 2 * m)[:, ::2],
    lambda n, m: integers(3 * n, m)[::3],
    lambda n, m: integers(n, m)[::-1],
    lambda n, m: integers(n, m)[:, ::-1],
    lambda n, m: integers(m, 2 * n)[:, ::2].T,
    lambda n, m: np.broadcast_to(integers(m), (n, m)),
    lambda n, m: np.broadcast_to(integers(n, 1), (n, m)),
]


@pytest.mark.parametrize("batch", [(), (3,), (2, 2)])
@pytest.mark.parametrize(("left", "right"), [*itertools.product(range(len(PARTS)), repeat=2)])
def test_parts_of_matrices(left, right, batch):
    a, b = PARTS[left](13, 7), PARTS[right](7, 18)
    a, b = np.broadcast_to(a, (*batch, 13, 7)), np.broadcast_to(b, (*batch, 7, 18))
    assert np.array_equal(matmul(a, b), a @ b)


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("batch", [(1,), (4,), (2, 3), (0,), (2, 0)])
def test_batches(run_serially, serial, batch):
    run_serially(serial)
    a, b = integers(*batch, 25, 6), integers(*batch, 6, 18)
    assert np.array_equal(matmul(a, b), a @ b)
    assert np.array_equal(matmul(a.swapaxes(-1, -2), a), a.swapaxes(-1, -2) @ a)
    shared = np.broadcast_to(integers(6, 18), b.shape)
    assert np.array_equal(matmul(a, shared), a @ shared)
    shared = np.broadcast_to(integers(25, 6), a.shape)
    assert np.array_equal(matmul(shared, b), shared @ b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, ROWS - 1, ROWS, ROWS + 1, 40])
@pytest.mark.parametrize("k", [DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH, 2 * DEPTH + 1, 5 * DEPTH + 3])
def test_panels_in_parts(dtype, n, k):
    x, weight, bias = integers(n, k, dtype=dtype), integers(19, k, dtype=dtype), integers(19, dtype=dtype)
    assert np.array_equal(linear(x, weight, bias, False), x @ weight.T + bias)
    assert np.array_equal(linear(x, weight, bias, True), np.maximum(x @ weight.T + bias, 0))
    assert np.array_equal(matmul(x, weight.T.copy()), x @ weight.T)


@pytest.mark.parametrize("n", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST + 5, 6000])
def test_a_small_a_in_blocks(n):
    for k, m in ((9, 1), (21, COLUMNS + 1)):
        assert n * k <= SMALL
        a, b = integers(n, k), integers(k, m)
        assert np.array_equal(matmul(a, b), a @ b)


@pytest.mark.parametrize(("rows", "enough"), BLOCK_ROWS)
def test_a_large_a_in_blocks(rows, enough):
    for more in (-1, 0, 1, rows + 1):
        n, batch = rows * 2 + more, max(1, enough // 2)
        a, b, bias = integers(batch, n, SMALL // n + 1), integers(batch, SMALL // n + 1, 17), integers(17)
        assert np.array_equal(matmul(a, b, bias, relu=True), np.maximum(a @ b + bias, 0))


def test_more_panels_than_a_chunk_takes():
    a, b = integers(400, 400), integers(400, PANELS * COLUMNS + 5)
    assert np.array_equal(matmul(a, b), a @ b)


def test_batches_of_any_order_of_memory():
    for order in itertools.permutations(range(4)):
        shape = [(2, 3, 7, 5)[order.index(i)] for i in range(4)]
        a, b = integers(*shape).transpose(order), integers(2, 3, 5, 4)
        assert a.shape == (2, 3, 7, 5)
        assert np.array_equal(matmul(a, b), a @ b)
        half = np.broadcast_to(integers(3, 5, 4), (2, 3, 5, 4))
        assert np.array_equal(matmul(a, half), a @ half)


@pytest.mark.parametrize(("n", "k", "m"), [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0), (7, 0, 17)])
def test_empty_operands(n, k, m):
    assert np.array_equal(matmul(integers(n, k), integers(k, m)), np.zeros((n, m)))
    assert np.array_equal(
        linear(integers(n, k), integers(m, k), np.arange(m, dtype="float32"), False), np.zeros((n, m)) + np.arange(m)
    )


def test_linear():
    x, weight, bias = integers(20, 9), integers(33, 9), integers(66)[::2]
    assert np.array_equal(linear(x, weight, bias, False), x @ weight.T + bias)
    assert np.array_equal(linear(x, weight, None, False), x @ weight.T)
    assert np.array_equal(linear(x[:, ::-1], weight[::-1], bias[::-1], False), x[:, ::-1] @ weight[::-1].T + bias[::-1])


def test_nan_and_infinity_stay_in_their_row_and_column():
    a, b = np.ones((9, 5), np.float32), np.ones((5, 20), np.float32)
    a[3, 2], b[1, 17] = np.nan, np.inf
    out = matmul(a, b)
    assert np.isnan(out[3]).all()
    assert np.isinf(np.delete(out[:, 17], 3)).all()
    rest = np.delete(np.delete(out, 3, 0), 17, 1)
    assert (rest == 5).all()


def test_large_and_thin():
    a, b = integers(1, 100_000, dtype="float64"), integers(100_000, 3, dtype="float64")
    assert np.array_equal(matmul(a, b), a @ b)
    assert np.array_equal(matmul(b, b[:1].T), b @ b[:1].T)
