"""Plans are found by the form of operands, and compute the same as without a plan."""

import itertools

import numpy as np
import pytest

from stackgrad.tensor import OPS, from_numpy, observed
from stackgrad.tensor._ops import elementwise
from stackgrad.tensor._plans import MOST, Plans, layouts

RNG = np.random.default_rng(0)


def test_each_plan_is_made_once_and_the_oldest_are_dropped():
    made = []

    def make(i):
        made.append(i)
        return None if i % 2 else i

    plans = Plans(make)
    for _ in range(2):
        assert [plans.find(i, i) for i in range(4)] == [0, None, 2, None]
    assert made == [0, 1, 2, 3]
    for i in range(4, MOST + 1):
        plans.find(i, i)
    assert len(plans._made) <= MOST
    plans.find(MOST, MOST)
    plans.find(0, 0)
    assert made == [*range(MOST + 1), 0]


def test_layouts_distinguish_shapes_and_strides():
    x = np.zeros((2, 3), np.float32)
    assert layouts((x, x.T)) == (((2, 3), (12, 4)), ((3, 2), (4, 12)))


def operands_of(op):
    """All combinations of tensors, of various dtypes, shapes and layouts, and scalars, with at least one tensor."""
    arrays = [
        RNG.integers(1, 4, (2, 3)).astype(np.float32),
        RNG.integers(1, 4, (3, 2)).astype(np.float32).T,
        RNG.integers(1, 4, 3).astype(np.float64),
        RNG.integers(1, 4, (2, 1)),
        np.array(2.0),
        RNG.integers(0, 2, (2, 3)) > 0,
    ]
    choices = [*map(from_numpy, arrays), True, 2, 0.5]
    for chosen in itertools.product(choices, repeat=len(op.operands)):
        if not all(isinstance(x, bool | int | float) for x in chosen):
            yield chosen


def outcome(name, operands):
    try:
        out = elementwise(name, *operands)
    except (TypeError, ValueError) as error:
        return type(error), str(error)
    return out.dtype, out.shape, out.data.strides, out.numpy().tobytes()


@pytest.mark.parametrize("name", sorted(OPS))
def test_a_plan_and_an_observed_function_give_the_same(name):
    for chosen in operands_of(OPS[name]):
        operands = (from_numpy(RNG.integers(0, 2, (2, 3)) > 0), *chosen[1:]) if name == "where" else chosen
        for _ in range(2):  # the first call makes the plan
            planned = outcome(name, operands)
        with observed(lambda *applied: None):  # observed operations are applied as functions
            assert outcome(name, operands) == planned
