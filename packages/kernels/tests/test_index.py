"""Shapes and strides, compared with NumPy's."""

import itertools

import numpy as np
import pytest

from stackgrad.kernels._index import around, by_stride, inverse, memory_order, merge, spread_strides, three

ARRAYS = {
    "in order": np.zeros((2, 3, 4)),
    "transposed": np.zeros((3, 4, 2)).transpose(2, 0, 1),
    "of one row": np.zeros((2, 1, 4)),
    "of one row, transposed": np.zeros((4, 1, 2)).T,
    "with steps": np.zeros((2, 6, 8))[:, ::2, ::-2],
    "expanded": np.broadcast_to(np.zeros((3, 1)), (2, 3, 4)),
    "new dimension": np.zeros((2, 3))[:, None],
    "without elements": np.zeros((2, 0, 4)),
    "a scalar": np.zeros(()),
}


@pytest.fixture(params=ARRAYS)
def array(request):
    return ARRAYS[request.param]


def test_strides_of_broadcast_arrays(array):
    shape = (5, *(7 if n == 1 else n for n in array.shape))
    expected = np.broadcast_to(array, shape).strides
    assert spread_strides(array.shape, array.strides, shape) == expected


def test_dimensions_by_stride(array):
    order = by_stride(array.shape, array.strides)
    steps = [abs(array.strides[d]) for d in order if array.shape[d] != 1]
    assert steps == sorted(steps, reverse=True)
    assert sorted(order) == list(range(array.ndim))
    if array.flags.c_contiguous and array.size:
        assert order == tuple(range(array.ndim))
    assert tuple(order[d] for d in inverse(order)) == tuple(range(array.ndim))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("in order", "transposed"), (0, 1, 2)),
        (("transposed", "in order"), (1, 2, 0)),
        (("expanded", "transposed"), (1, 2, 0)),
        (("of one row", "transposed"), (1, 2, 0)),
        (("expanded",), (0, 1, 2)),
        (("a scalar", "of one row"), (0, 1, 2)),
    ],
)
def test_the_memory_of_a_result(names, expected):
    operands = [(ARRAYS[name].shape, ARRAYS[name].strides) for name in names]
    assert memory_order(operands, (2, 3, 4)) == expected


def test_merged_dimensions_walk_over_the_same_elements(array):
    extents, (steps,) = merge(array.shape, [array.strides])
    assert len(extents) <= array.ndim
    assert 1 not in extents
    walked, original = (
        [sum(i * step for i, step in zip(index, strides, strict=True)) for index in np.ndindex(shape)]
        for shape, strides in ((extents, steps), (array.shape, array.strides))
    )
    assert walked == original


def test_adjacent_dimensions_are_merged_if_all_arrays_allow_it():
    plain, transposed = (12, 4, 1), (1, 2, 6)
    assert merge((2, 3, 4), [plain, plain]) == ((24,), [(1,), (1,)])
    assert merge((2, 3, 4), [plain, (0, 0, 0)]) == ((24,), [(1,), (0,)])
    assert merge((2, 3, 4), [plain, transposed]) == ((2, 3, 4), [plain, transposed])


def test_around_a_dimension():
    assert [around((2, 3, 4), dim) for dim in range(3)] == [(1, 2, 12), (2, 3, 4), (6, 4, 1)]


def test_the_last_operand_stands_in_for_missing_ones():
    assert [three(list(itertools.islice("xyz", count))) for count in (1, 2, 3)] == [
        ("x", "x", "x"),
        ("x", "y", "y"),
        ("x", "y", "z"),
    ]
