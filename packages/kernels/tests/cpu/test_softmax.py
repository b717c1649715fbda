"""Softmax and cross-entropy at the edges of their chunks, and with labels that changed before backward."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import _softmax
from stackgrad.kernels.cpu._parallel import CHUNK

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
LONGEST = CHUNK // _softmax.COST  # a row that fills a chunk


def exact(x, axis):
    wide = x.astype(np.float64)
    e = np.exp(wide - wide.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("columns", [1, 2, LONGEST // 2, LONGEST - 1, LONGEST, LONGEST + 1])
def test_chunk_edges(run_serially, serial, columns):
    run_serially(serial)
    rows_in_chunk = max(1, LONGEST // columns)
    for rows in {1, rows_in_chunk - 1, rows_in_chunk, rows_in_chunk + 1, 3 * rows_in_chunk + 2} - {0}:
        x = 5 * RNG.standard_normal((rows, columns)).astype("float32")
        target = RNG.integers(0, columns, rows)
        assert np.allclose(_softmax.softmax(x, 1), exact(x, 1), rtol=1e-5, atol=1e-30)
        log = _softmax.log_softmax(x, 1)
        assert np.allclose(log, np.log(exact(x, 1)), rtol=1e-5, atol=1e-5)
        losses, log_probs = _softmax.cross_entropy(x, target)
        assert np.array_equal(log_probs, log)
        assert np.array_equal(losses, -log[np.arange(rows), target])
        g = RNG.standard_normal(rows).astype("float32")
        expected = exact(x, 1)
        expected[np.arange(rows), target] -= 1
        assert np.allclose(_softmax.cross_entropy_grad(g, log_probs, target), expected * g[:, None], atol=1e-5)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_along_any_dim_of_any_layout(dim):
    x = RNG.standard_normal((5, 6, 7)).astype("float64").transpose(2, 0, 1)[::-1]
    assert np.allclose(_softmax.softmax(x, dim), exact(x, dim), rtol=1e-13)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_no_rows_or_columns(shape):
    x = np.ones(shape, np.float32)
    for dim in (0, 1):
        assert _softmax.softmax(x, dim).shape == _softmax.log_softmax(x, dim).shape == shape
    losses, log_probs = _softmax.cross_entropy(np.ones((0, 3), np.float32), np.ones(0, np.int64))
    assert losses.shape == (0,)
    assert _softmax.cross_entropy_grad(losses, log_probs, np.ones(0, np.int64)).shape == (0, 3)


def test_large_logits_do_not_overflow():
    x = np.array([[1e4, -1e4, 0], [3e38, 3e38, -3e38]], np.float32)
    assert _softmax.softmax(x, 1).tolist() == [[1, 0, 0], [0.5, 0.5, 0]]


def test_operands_of_any_layout():
    x, target = RNG.standard_normal((6, 8)).astype("float32"), RNG.integers(0, 8, 6)
    losses, log_probs = _softmax.cross_entropy(x, target)
    found, _ = _softmax.cross_entropy(x.T.copy().T, np.repeat(target, 3)[::3])
    assert np.array_equal(found, losses)
    ones = np.broadcast_to(np.float32(1), 6)
    expected = _softmax.cross_entropy_grad(np.ones(6, np.float32), log_probs, target)
    assert np.array_equal(_softmax.cross_entropy_grad(ones, log_probs, target[::-1][::-1]), expected)


def test_changed_labels_do_not_write_out_of_bounds():
    """They were checked for the loss, but memory that is shared with NumPy may have changed since."""
    x = np.zeros((3, 4), np.float32)
    _, log_probs = _softmax.cross_entropy(x, np.array([0, 1, 2]))
    changed = np.array([2**40, 1, -5])
    grad = _softmax.cross_entropy_grad(np.ones(3, np.float32), log_probs, changed)
    assert np.allclose(grad, [[0.25] * 4, [0.25, -0.75, 0.25, 0.25], [0.25] * 4])


@pytest.mark.parametrize("columns", [1, 7, 63, 64, 65, 127, 128, 200])
def test_the_maximum_of_a_row_at_any_position(columns):
    """The other elements are so far below it that their exponentials are 0; NaN makes the whole row NaN."""
    x = np.full((columns, columns), -200, np.float32)
    np.fill_diagonal(x, 100)
    assert np.array_equal(_softmax.softmax(x, 1), np.eye(columns))
    np.fill_diagonal(x, np.nan)
    assert np.isnan(_softmax.softmax(x, 1)).all()
