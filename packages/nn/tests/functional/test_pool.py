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
    """Each window as a list of values, reduced. Elements outside the image are `outside`, or absent if None."""
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


def test_the_default_stride_is_the_kernel_and_drops_a_partial_edge() -> None:
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


# ------------------------------------------------------------------- ceil_mode, dilation, one dimension, adaptive

F = nn.functional


def by_windows(x: Array, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> list[Array]:
    """The indices of each window along the last dimension, without those past the padded end; below 0 is padding."""
    span = x.shape[-1] + 2 * padding - dilation * (kernel - 1) - 1
    count = (math.ceil(span / stride) if ceil_mode else span // stride) + 1
    if (count - 1) * stride >= x.shape[-1] + padding:
        count -= 1
    at = [i * stride - padding + dilation * np.arange(kernel) for i in range(count)]
    return [each[each < x.shape[-1] + padding] for each in at]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@settings(max_examples=60)
@given(st.data())
def test_pools_of_sequences_equal_loops(backend: str, data: st.DataObject) -> None:
    kernel, stride = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    padding, ceil_mode = data.draw(st.integers(0, kernel // 2)), data.draw(st.booleans())
    dilation = data.draw(st.integers(1, 2))
    x = np.random.default_rng(data.draw(st.integers(0, 99))).standard_normal((2, 2, data.draw(st.integers(8, 12))))
    tensor = sg.tensor(x, requires_grad=True, backend=backend)
    windows = by_windows(x, kernel, stride, padding, dilation, ceil_mode)
    inside = [each[(each >= 0) & (each < x.shape[-1])] for each in windows]
    found = F.max_pool1d(tensor, kernel, stride, padding, dilation, ceil_mode)
    expected = np.stack([x[..., each].max(-1) for each in inside], -1)
    np.testing.assert_array_equal(found.detach().numpy(), expected)
    sg.grad_check(lambda x: F.max_pool1d(x, kernel, stride, padding, dilation, ceil_mode), tensor)
    windows = by_windows(x, kernel, stride, padding, 1, ceil_mode)
    inside = [each[(each >= 0) & (each < x.shape[-1])] for each in windows]
    for count_padding in (True, False):
        lengths = [len(each) for each in (windows if count_padding else inside)]
        expected = np.stack([x[..., each].sum(-1) / n for each, n in zip(inside, lengths, strict=True)], -1)
        found = F.avg_pool1d(tensor, kernel, stride, padding, ceil_mode, count_padding)
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-12, atol=1e-12)
        sg.grad_check(lambda x, c=count_padding: F.avg_pool1d(x, kernel, stride, padding, ceil_mode, c), tensor)


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_values_of_pytorch(backend: str) -> None:
    x = sg.arange(12, dtype="float32", backend=backend).reshape(1, 1, 3, 4)
    assert F.avg_pool2d(x, 2, 2, 1, True, False).tolist() == [[[[0.0, 1.5, 3.0], [6.0, 7.5, 9.0]]]]
    assert F.avg_pool2d(x, (2, 3), 2, (1, 0), True).tolist() == [[[[0.5, 1.25], [7.0, 8.5]]]]
    summed = F.avg_pool2d(x, (2, 3), 2, (1, 0), True, divisor_override=3)
    np.testing.assert_allclose(summed.numpy(), [[[[1.0, 5 / 3], [14.0, 34 / 3]]]], rtol=1e-6)
    assert F.max_pool2d(x, 2, 3, 1, ceil_mode=True).tolist() == [[[[0.0, 3.0], [8.0, 11.0]]]]
    assert F.adaptive_avg_pool2d(x, (2, 3)).tolist() == [[[[2.5, 3.5, 4.5], [6.5, 7.5, 8.5]]]]


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
@pytest.mark.parametrize("goal", [1, 2, 3, 5, 7, (2, 5), (None, 1), (3, None)])
def test_adaptive_pools_average_parts(goal: Any, backend: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 6, 5))
    tensor = sg.tensor(x, requires_grad=True, backend=backend)
    rows, columns = (
        n or size for n, size in zip(goal if isinstance(goal, tuple) else (goal, goal), (6, 5), strict=True)
    )
    expected = np.zeros((2, 3, rows, columns))
    for i, j in np.ndindex(rows, columns):
        part = x[:, :, i * 6 // rows : -(-(i + 1) * 6 // rows), j * 5 // columns : -(-(j + 1) * 5 // columns)]
        expected[:, :, i, j] = part.mean((2, 3))
    np.testing.assert_allclose(F.adaptive_avg_pool2d(tensor, goal).detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    sg.grad_check(lambda x: F.adaptive_avg_pool2d(x, goal), tensor)
    if isinstance(goal, int):
        image = F.adaptive_avg_pool2d(tensor[:, :, :1], (1, goal)).squeeze(2)
        np.testing.assert_allclose(
            F.adaptive_avg_pool1d(tensor[:, :, 0], goal).detach().numpy(), image.detach().numpy(), rtol=1e-12
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.max_pool2d(x, 2, padding=2, dilation=2), "padding ((2, 2), (2, 2)) is more than half of kernel"),
        (lambda x: F.max_pool2d(x, 4, dilation=2), "kernel (4, 4) with dilation (2, 2) is larger than (1, 1, 4, 4)"),
        (lambda x: F.avg_pool2d(x, 2, divisor_override=0), "divisor_override must not be 0"),
        (lambda x: F.max_pool1d(x, 2), "max_pool1d: input of shape (1, 1, 4, 4): expected (batch, channels, width)"),
        (
            lambda x: F.adaptive_avg_pool1d(x, 2),
            "adaptive_avg_pool1d: input of shape (1, 1, 4, 4): expected (batch, channels, width)",
        ),
        (lambda x: F.adaptive_avg_pool2d(x, 0), "output_size must be an int or None, or 2 of them; got 0"),
        (lambda x: F.adaptive_avg_pool2d(x, (1, 2, 3)), "output_size must be an int or None, or 2 of them"),
        (lambda x: F.adaptive_avg_pool2d(x[:, :, :0], 1), "input of shape (1, 1, 0, 4) is empty"),
    ],
)
def test_errors_of_other_pools(call: Callable[[sg.Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(sg.ones(1, 1, 4, 4))
