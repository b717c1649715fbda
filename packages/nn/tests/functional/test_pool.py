"""Pooling against plain loops, over random kernel, stride and padding."""

import itertools
import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stackgrad.tensor as sg
from stackgrad import nn

Array = npt.NDArray[Any]


class Case(NamedTuple):
    x: Array
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]


def loops(case: Case, reduce: Callable[[list[float]], float], outside: float | None) -> Array:
    """Each window as a list of values, reduced. What lies outside the image is `outside`, or absent."""
    batch, channels, height, width = case.x.shape
    (rows, columns), ((top, bottom), (left, right)) = case.kernel, case.padding
    out_height = (height + top + bottom - rows) // case.stride[0] + 1
    out_width = (width + left + right - columns) // case.stride[1] + 1
    out = np.zeros((batch, channels, out_height, out_width))
    for n, c, y, z in itertools.product(*map(range, out.shape)):
        values = []
        for i, j in itertools.product(range(rows), range(columns)):
            row, column = y * case.stride[0] + i - top, z * case.stride[1] + j - left
            if 0 <= row < height and 0 <= column < width:
                values.append(float(case.x[n, c, row, column]))
            elif outside is not None:
                values.append(outside)
        out[n, c, y, z] = reduce(values)
    return out


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple((draw(st.integers(0, k // 2)), draw(st.integers(0, k // 2))) for k in kernel)
    size = [draw(st.integers(max(1, k - sum(p)), 6)) for k, p in zip(kernel, padding, strict=True)]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(0, 2)), draw(st.integers(0, 2)), *size)
    x = rng.permutation(np.arange(-72.0, 72.0))[: math.prod(shape)].reshape(shape)
    return Case(x, kernel, stride, (padding[0], padding[1]))


@given(cases(), st.sampled_from([np.float32, np.float64]))
def test_max_pool2d_equals_loops(case: Case, dtype: Any) -> None:
    out = nn.max_pool2d(sg.tensor(case.x.astype(dtype)), *case[1:])
    assert out.dtype == dtype
    np.testing.assert_array_equal(out.numpy(), loops(case, max, None))


@given(cases())
def test_avg_pool2d_equals_loops(case: Case) -> None:
    out = nn.avg_pool2d(sg.tensor(case.x), *case[1:])
    np.testing.assert_allclose(out.numpy(), loops(case, lambda v: sum(v) / len(v), 0.0), rtol=1e-12, atol=1e-12)


@settings(max_examples=20)
@given(cases(), st.sampled_from([nn.max_pool2d, nn.avg_pool2d]))
def test_gradients(case: Case, pool: Callable[..., sg.Tensor]) -> None:
    sg.grad_check(lambda x: pool(x, *case[1:]), sg.tensor(case.x, requires_grad=True))


@given(cases())
def test_the_gradient_of_max_pool2d_goes_to_the_first_of_equal_values(case: Case) -> None:
    x = sg.zeros(*case.x.shape, dtype=sg.float64, requires_grad=True)
    nn.max_pool2d(x, *case[1:]).sum().backward()
    expected = np.zeros(case.x.shape)
    (rows, columns), ((top, bottom), (left, right)) = case.kernel, case.padding
    height, width = case.x.shape[2:]
    for y in range(-top, height + bottom - rows + 1, case.stride[0]):
        for z in range(-left, width + right - columns + 1, case.stride[1]):
            expected[:, :, max(y, 0), max(z, 0)] += 1
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_stride_is_the_kernel_and_a_ragged_edge_is_dropped() -> None:
    x = sg.arange(15, dtype=sg.float32).reshape(1, 1, 3, 5)
    assert nn.max_pool2d(x, 2).tolist() == [[[[6.0, 8.0]]]]
    assert nn.avg_pool2d(x, (1, 2)).shape == (1, 1, 3, 2)


@pytest.mark.parametrize("pool", [nn.max_pool2d, nn.avg_pool2d])
def test_pool_errors(pool: Callable[..., Any]) -> None:
    x = sg.ones(1, 1, 4, 4)
    with pytest.raises(ValueError, match=re.escape("input of shape (4,): expected (batch, channels, height, width)")):
        pool(sg.ones(4), 2)
    with pytest.raises(ValueError, match=r"kernel_size must be an int or 2 of them .*, at least 1; got 0"):
        pool(x, 0)
    with pytest.raises(ValueError, match="stride must be an int or 2 of them"):
        pool(x, 2, stride=(1, 0))
    with pytest.raises(ValueError, match=re.escape("padding ((1, 1), (2, 2)) is more than half of kernel (2, 3)")):
        pool(x, (2, 3), padding=(1, 2))
    with pytest.raises(ValueError, match=re.escape("more than the image of 4x4")):
        pool(x, 5)
