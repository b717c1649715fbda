"""Filling, copying, converting and assigning: kernels do what NumPy does."""

import itertools

import numpy as np
import pytest

from stackgrad.kernels.cpu._copy import assign, copy, full, reshape, with_slack

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
DTYPES = [np.dtype(name) for name in ("float32", "float64", "int64", "bool")]
LAYOUTS = {
    "in order": lambda x: x,
    "transposed": lambda x: x.transpose(3, 1, 0, 2),
    "with steps": lambda x: x[::2, ::-1, 1:, ::3],
    "one dimension": lambda x: x.reshape(-1)[::2],
    "one element": lambda x: x[0, 0, 0, :1][0:1].reshape(()),
    "no elements": lambda x: x[:, :0],
    "six dimensions": lambda x: x.reshape(2, 2, 5, 2, 3, 7).transpose(5, 1, 3, 0, 4, 2),
}


@pytest.fixture(params=["by NumPy", "by kernels"])
def either(request, run_serially):
    run_serially(request.param == "by NumPy")


def values(dtype):
    return (RNG.standard_normal((4, 5, 6, 7)) * 3).astype(dtype)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "to"), list(itertools.product(DTYPES, DTYPES)), ids=str)
def test_a_copy(either, layout, dtype, to):
    x = LAYOUTS[layout](values(dtype))
    out = copy(x, to)
    assert out.flags.c_contiguous
    assert out.dtype == to
    assert np.array_equal(out, x.astype(to))
    assert not np.shares_memory(out, x)


def test_values_that_a_dtype_cannot_hold(either):
    x = np.array([1.5, -2.5, np.nan])
    assert copy(x, np.dtype("int64"))[:2].tolist() == [1, -2]
    assert copy(x, np.dtype("bool")).tolist() == [True] * 3
    assert copy(np.array([1e300, 1.0]), np.dtype("float32")).tolist() == [np.inf, 1.0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_assignment_to_any_layout(either, layout, dtype):
    target, expected = values(dtype), values(dtype)
    expected[...] = target
    source = LAYOUTS[layout](values(dtype)).copy()
    assign(LAYOUTS[layout](target), source)
    LAYOUTS[layout](expected)[...] = source
    assert np.array_equal(target, expected)


def test_assignment_broadcasts(either):
    target = np.zeros((3, 4, 5), np.float32)
    for source in (np.float32(2)[None], np.arange(5, dtype="f4"), RNG.standard_normal((4, 1)).astype("f4")):
        assign(target, np.asarray(source))
        assert np.array_equal(target, np.broadcast_to(source, target.shape))


def test_assignment_to_overlapping_memory(either):
    x = np.arange(40.0)
    assign(x[1:], x[:-1])
    assert x.tolist() == [0.0, *range(39)]
    y = RNG.standard_normal((6, 6))
    before = y.copy()
    assign(y, y.T)
    assert np.array_equal(y, before.T)


def test_read_only_memory_is_not_written(either):
    x = np.zeros(3)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        assign(x, np.ones(3))


VALUES = [(dtype, value) for dtype in DTYPES for value in (0, 2.5, True, -7)]
VALUES += [(dtype, value) for dtype in DTYPES if dtype.kind == "f" for value in (1e300, np.inf)]


@pytest.mark.parametrize(("dtype", "value"), VALUES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (7, 11)])
def test_full(either, value, dtype, shape):
    with np.errstate(over="ignore"):
        expected = np.full(shape, value, dtype)
    out = full(shape, value, dtype)
    assert out.dtype == dtype
    assert np.array_equal(out, expected)


def test_a_value_that_an_integer_cannot_hold(either):
    with pytest.raises((ValueError, OverflowError)):
        full((2,), np.nan, np.dtype("int64"))


@pytest.mark.parametrize("shape", [(4, 6, 5, 7), (840,), (24, 35), (2, 2, 5, 42)])
@pytest.mark.parametrize("layout", ["in order", "transposed", "with steps"])
def test_reshape_is_a_view_if_possible(either, layout, shape):
    x = LAYOUTS[layout](values("float32"))
    if x.size == 840:
        found, expected = reshape(x, shape), x.reshape(shape)
        assert np.array_equal(found, expected)
        assert np.shares_memory(found, x) == np.shares_memory(expected, x)
    else:
        assert reshape(x, (x.size,)).tolist() == x.reshape(-1).tolist()


def test_with_slack_copies_arrays_without_slack(either):
    x = RNG.standard_normal(5)
    out = with_slack(x)
    assert np.array_equal(out, x)
    assert not np.shares_memory(out, x)
    large = copy(np.zeros(3))  # in the pool's memory, which is poisoned
    assert with_slack(large) is large
