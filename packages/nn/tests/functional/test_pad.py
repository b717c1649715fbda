"""Padding, against NumPy."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn

F = nn.functional
MODES: dict[str, Any] = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@settings(max_examples=60)
@given(st.data())
def test_pad_equals_numpy(backend: str, data: st.DataObject) -> None:
    mode = data.draw(st.sampled_from(sorted(MODES)))
    shape = data.draw(st.lists(st.integers(3, 4), min_size=1, max_size=4))
    count = data.draw(st.integers(0, len(shape)))
    pairs = [(data.draw(st.integers(0, 2)), data.draw(st.integers(0, 2))) for _ in range(count)]
    x = np.random.default_rng(0).standard_normal(shape)
    widths = [(0, 0)] * (len(shape) - count) + pairs[::-1]
    options: Any = {"constant_values": 1.5} if mode == "constant" else {}
    expected = np.pad(x, widths, MODES[mode], **options)
    tensor = sg.tensor(x, requires_grad=True, backend=backend)
    flat = [count for pair in pairs for count in pair]
    value = 1.5 if mode == "constant" else None
    np.testing.assert_array_equal(F.pad(tensor, flat, mode, value).detach().numpy(), expected)
    if len(shape) < 3:
        sg.grad_check(lambda x: F.pad(x, flat, mode, value), tensor)


def test_negative_padding_removes_elements() -> None:
    x = sg.arange(6)
    assert F.pad(x, (-1, -2)).tolist() == [1, 2, 3]
    assert F.pad(x, (-4, 1)).tolist() == [4, 5, 0]
    assert F.pad(x, (-5, 2), "replicate").tolist() == [5, 5, 5]
    assert F.pad(x > 2, (1, 0)).tolist() == [False, False, False, False, True, True, True]
    y = sg.ones(2, 3, requires_grad=True)
    F.pad(y, (-1, 1, 0, -1)).sum().backward()
    assert y.grad is not None
    assert y.grad.tolist() == [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.pad(x, (1,)), "expected (before, after) pairs of ints, of the last dimension first; got (1,)"),
        (lambda x: F.pad(x, (1, 1.5)), "expected (before, after) pairs of ints"),
        (lambda x: F.pad(x, (1,) * 6), "3 pairs for an input of shape (2, 3)"),
        (lambda x: F.pad(x, (1, 1), "mirror"), 'mode must be "constant", "reflect", "replicate" or "circular"; got'),
        (
            lambda x: F.pad(x, (3, 0), "reflect"),
            "3 and 0 around dim 1 of shape (2, 3) with mode 'reflect': expected at most 2",
        ),
        (
            lambda x: F.pad(x, (0, 4), "circular"),
            "0 and 4 around dim 1 of shape (2, 3) with mode 'circular': expected at most 3",
        ),
        (lambda x: F.pad(x[:, :0], (1, 0), "replicate"), "with mode 'replicate': expected at most 0"),
        (lambda x: F.pad(x, (1, 1), "reflect", 2.0), "value 2.0 with mode 'reflect'"),
        (lambda x: F.pad(x, (-2, -2)), "-2 and -2 remove more than dim 1 of shape (2, 3) has"),
    ],
)
def test_errors(call: Callable[[sg.Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(sg.ones(2, 3))
