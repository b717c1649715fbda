"""Dimension indices, broadcasting and windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from stackgrad.tensor._shape import (
    broadcast_shapes,
    normalize_dim,
    normalize_dims,
    reduced_shape,
    reshaped_strides,
    resolve_shape,
    strides_in_order,
)
from stackgrad.tensor.testing import Limits, draws, uniform


@pytest.mark.parametrize(("dim", "expected"), [(0, 0), (2, 2), (-1, 2), (-3, 0), (np.int64(1), 1)])
def test_a_dim_is_counted_from_the_front(dim, expected):
    assert normalize_dim(dim, 3) == expected


@pytest.mark.parametrize("dim", [3, -4])
def test_a_dim_out_of_range_is_named(dim):
    with pytest.raises(IndexError, match=rf"dim {dim} is out of range for 3 dimensions: expected -3 to 2"):
        normalize_dim(dim, 3)


def test_without_dimensions_there_counts_as_one():
    assert normalize_dim(0, 0) == 0
    assert normalize_dim(-1, 0) == 0
    for dim in (1, -2):
        with pytest.raises(IndexError, match=rf"dim {dim} is out of range for 0 dimensions: expected -1 to 0"):
            normalize_dim(dim, 0)


def test_a_dim_is_an_integer():
    with pytest.raises(TypeError, match=r"dim 1\.0: expected an integer"):
        normalize_dim(1.0, 3)
    with pytest.raises(TypeError, match="dim False: expected an integer"):  # x.var(False) does not mean dim 0
        normalize_dim(False, 3)


def test_several_dims_are_sorted():
    assert normalize_dims((-1, 0), 3) == (0, 2)
    assert normalize_dims(None, 2) == (0, 1)
    assert normalize_dims((), 2) == ()
    assert normalize_dims([np.int64(1)], 2) == (1,)
    with pytest.raises(ValueError, match=r"dim \(1, -2\) names a dimension twice"):
        normalize_dims((1, -2), 3)


@given(mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3))
def test_broadcasting_is_numpys(shapes):
    assert broadcast_shapes(*shapes.input_shapes) == shapes.result_shape


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(ValueError, match=r"shapes \(2, 3\) and \(2, 4\) do not broadcast: dimension -1 is 3 and 4"):
        broadcast_shapes((2, 3), (2, 4))
    with pytest.raises(ValueError, match=r"dimension -2 is 0 and 2"):
        broadcast_shapes((0, 3), (2, 1))


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((2, -1), 6, (2, 3)),
        ((-1,), 0, (0,)),
        ((3, -1), 0, (3, 0)),
        ((), 1, ()),
        ((0, 5), 0, (0, 5)),
        ((-1, 1), 4, (4, 1)),
    ],
)
def test_a_shape_is_resolved(shape, size, expected):
    assert resolve_shape(shape, size) == expected


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        ((4,), 6, r"shape \(4,\) does not hold 6 elements"),
        ((4, -1), 6, r"shape \(4, -1\) does not hold 6 elements"),
        ((0, -1), 0, r"shape \(0, -1\) does not hold 0 elements"),
        ((-1, -1), 6, r"shape \(-1, -1\) is not valid: extents are 0 or more, and one may be -1"),
        ((-2, 3), 6, r"shape \(-2, 3\) is not valid"),
    ],
)
def test_an_invalid_shape_is_named(shape, size, message):
    with pytest.raises(ValueError, match=message):
        resolve_shape(shape, size)


def test_reduced_dims_are_kept_as_1():
    assert reduced_shape((2, 3, 4), (0, 2)) == (1, 3, 1)


# --- strides


def test_strides_in_order():
    assert strides_in_order((2, 3, 4)) == (12, 4, 1)
    assert strides_in_order((2, 0, 4)) == (4, 4, 1)
    assert strides_in_order(()) == ()


@settings(max_examples=500)
@given(draws(Limits(extent=4, size=200)))
def test_strides_are_reshaped_if_numpy_makes_no_copy(draw):
    array = draw.sample(draw.shape(), uniform(np.dtype("float32"))).numpy()
    divisors = [n for n in range(1, array.size + 1) if array.size % n == 0]
    rows = draw.choice(divisors) if divisors else 0
    shape = draw.choice([(array.size,), (rows, array.size // rows if rows else 3), (1, *array.shape, 1)])
    strides = reshaped_strides(array.shape, array.strides, shape)
    if not array.size:
        assert strides == strides_in_order(shape)
        return
    reshaped = array.reshape(shape)
    assert (strides is not None) == np.shares_memory(reshaped, array)
    if strides is not None:
        assert [s for s, n in zip(strides, shape, strict=True) if n > 1] == [
            s for s, n in zip(reshaped.strides, shape, strict=True) if n > 1
        ]
