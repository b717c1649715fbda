"""The matrix product of a fully connected layer."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn

Array = npt.NDArray[Any]


@given(st.lists(st.integers(0, 3), max_size=2), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_linear(lead: list[int], features: int, out_features: int, with_bias: bool) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((*lead, features)), rng.standard_normal((out_features, features))
    b = rng.standard_normal(out_features) if with_bias else None
    out = nn.linear(sg.tensor(x), sg.tensor(w), None if b is None else sg.tensor(b))
    np.testing.assert_allclose(out.numpy(), x @ w.T + (0 if b is None else b), rtol=1e-12, atol=1e-12)


def test_linear_gradients() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in ((3, 4), (2, 4), (2,))]
    sg.grad_check(nn.linear, *(sg.tensor(array, requires_grad=True) for array in arrays))


def test_linear_names_both_shapes_that_do_not_match() -> None:
    with pytest.raises(ValueError, match=re.escape("input of shape (2, 3) and weight of shape (5, 4): expected")):
        nn.linear(sg.ones(2, 3), sg.ones(5, 4))
