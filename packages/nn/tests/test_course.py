"""The functions of the minitorch course, and the table that maps its names to ours."""

import importlib
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import course
from stackgrad.tensor.types import HostArray as Array

# few distinct values, so that equal ones are common
ties = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4),
    elements=st.sampled_from([-1.5, 0.0, 2.0]),
)


def test_its_names() -> None:
    assert course.__all__ == sorted(course.__all__)
    assert all(getattr(course, name).__doc__ for name in course.__all__)
    others = set(course.__all__) - {"dropout", "softmax"}  # PyTorch has these too, with its own meaning
    assert not others & (set(dir(nn)) | set(dir(nn.functional)))


# ----------------------------------------------------------------------------------------------------------------- tile


@given(st.integers(0, 2), st.integers(0, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_tile(batch: int, channel: int, new_height: int, new_width: int, rows: int, columns: int) -> None:
    shape = (batch, channel, new_height * rows, new_width * columns)
    x = np.random.default_rng(0).standard_normal(shape)
    out, height, width = course.tile(sg.tensor(x), (rows, columns))
    assert (height, width) == (new_height, new_width)
    assert out.shape == (batch, channel, new_height, new_width, rows * columns)
    for y, z in itertools.product(range(new_height), range(new_width)):
        window = x[:, :, y * rows : (y + 1) * rows, z * columns : (z + 1) * columns]
        np.testing.assert_array_equal(out.numpy()[:, :, y, z], window.reshape(batch, channel, rows * columns))


def test_tile_of_a_transposed_image() -> None:
    x = sg.arange(8).reshape(1, 1, 4, 2)
    out, _, _ = course.tile(x.transpose(2, 3), (2, 2))
    assert out.tolist() == [[[[[0, 2, 1, 3], [4, 6, 5, 7]]]]]


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_the_pools_of_the_course_reduce_the_windows_of_tile(seed: int, rows: int, columns: int, times: int) -> None:
    x = sg.tensor(np.random.default_rng(seed).standard_normal((2, 1, rows * times, columns * 2)))
    windows, _, _ = course.tile(x, (rows, columns))
    np.testing.assert_array_equal(course.maxpool2d(x, (rows, columns)).numpy(), windows.max(4).numpy())
    np.testing.assert_allclose(
        course.avgpool2d(x, (rows, columns)).numpy(), windows.mean(4).numpy(), rtol=1e-12, atol=1e-12
    )


def test_gradients_of_the_course() -> None:
    x = np.random.default_rng(1).standard_normal((2, 2, 4, 6))
    for function in (course.avgpool2d, course.maxpool2d, lambda x, kernel: course.tile(x, kernel)[0]):
        sg.grad_check(lambda x, f=function: f(x, (2, 3)), sg.tensor(x, requires_grad=True))


@pytest.mark.parametrize("function", [course.tile, course.avgpool2d, course.maxpool2d])
def test_the_course_requires_divisible_sizes(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=re.escape("kernel (2, 2) must divide height 4 and width 5")):
        function(sg.ones(1, 1, 4, 5), (2, 2))
    with pytest.raises(ValueError, match=r"kernel_size must be an int or 2 of them .*, at least 1; got \(2, 0\)"):
        function(sg.ones(1, 1, 4, 4), (2, 0))
    with pytest.raises(ValueError, match=re.escape("input of shape (4, 4): expected (batch, channel, height, width)")):
        function(sg.ones(4, 4), (2, 2))


# ------------------------------------------------------------------------------------------------------ max and argmax


def one_hot_of_first_largest(x: Array, dim: int) -> Array:
    out = np.zeros_like(x)
    for index in np.ndindex(*(1 if i == dim else n for i, n in enumerate(x.shape))):
        line = (*index[:dim], slice(None), *index[dim + 1 :])
        out[line][list(x[line]).index(max(x[line]))] = 1
    return out


# ------------------------------------------------------------------------------------------------------ max and argmax


@given(ties, st.data())
def test_max_keeps_the_dimension(x: Array, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    np.testing.assert_array_equal(course.max(sg.tensor(x), dim).numpy(), x.max(dim, keepdims=True))


@given(ties, st.data())
def test_max_passes_its_gradient_to_the_first_of_equal_values(x: Array, data: st.DataObject) -> None:
    dim = data.draw(st.integers(0, x.ndim - 1))
    leaf = sg.tensor(x, requires_grad=True)
    out = course.max(leaf, dim)
    weights = np.arange(1.0, out.size + 1).reshape(out.shape)
    out.backward(sg.tensor(weights))
    assert leaf.grad is not None
    np.testing.assert_array_equal(leaf.grad.numpy(), one_hot_of_first_largest(x, dim) * weights)


@given(ties, st.data())
def test_argmax_marks_the_first_of_equal_values(x: Array, data: st.DataObject) -> None:
    dim = data.draw(st.integers(0, x.ndim - 1))
    for given_dim in (dim, dim - x.ndim):
        out = course.argmax(sg.tensor(x, requires_grad=True), given_dim)
        np.testing.assert_array_equal(out.numpy(), one_hot_of_first_largest(x, dim))
        assert out.dtype == sg.float64


def test_argmax_of_integers_is_float32() -> None:
    out = course.argmax(sg.tensor([[3, 5], [7, 7]]), 1)
    assert out.dtype == sg.float32
    assert out.tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("function", [course.max, course.argmax, course.softmax, course.logsoftmax])
def test_a_dim_out_of_range(function: Callable[..., Any]) -> None:
    with pytest.raises(IndexError, match="dim 2 is out of range"):
        function(sg.ones(2, 2), 2)


# ------------------------------------------------------------------------------------------------- softmax and dropout


def test_softmax_and_logsoftmax_have_pytorch_s_meaning() -> None:
    assert course.softmax is nn.softmax
    assert course.logsoftmax is nn.log_softmax


def test_dropout_does_not_scale() -> None:
    sg.manual_seed(4)
    x = sg.tensor(np.random.default_rng(0).uniform(1, 2, (100, 100)), requires_grad=True)
    out = course.dropout(x, 0.3)
    kept = out.detach().numpy() != 0
    np.testing.assert_array_equal(out.detach().numpy(), x.detach().numpy() * kept)
    assert abs(kept.mean() - 0.7) < 0.02
    out.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), kept)
    assert course.dropout(x, 0.3).tolist() != out.tolist()


def test_dropout_of_all_none_and_ignored() -> None:
    x = sg.tensor([[1.0, float("inf")], [float("nan"), -2.0]])
    assert course.dropout(x, 0.0) is x
    assert course.dropout(x, 1.0, True) is x
    assert course.dropout(x, 1.0, ignore=True) is x
    assert course.dropout(x, 1.0).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    for rate in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match=f"must be between 0 and 1; got {rate}"):
            course.dropout(x, rate)


# ----------------------------------------------------------------------------------------- the table of the README

README = Path(__file__).parent.parent / "README.md"


def rows() -> list[tuple[str, str]]:
    text = README.read_text(encoding="utf-8")
    table = text[text.index("| minitorch |") :].split("\n\n")[0]
    return [(line.split("|")[1], line.split("|")[2]) for line in table.splitlines()[2:]]


def names(text: str) -> list[str]:
    """The names between backticks, without arguments."""
    return [name.split("(")[0] for name in re.findall("`([^`]+)`", text)]


def exists(name: str) -> bool:
    """Whether stackgrad has the name, given as `package.name` or `package.Class.name`."""
    package, *rest = name.split(".")
    found: Any = importlib.import_module(f"stackgrad.{package}")
    for part in rest:
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


@pytest.mark.parametrize(("theirs", "ours"), rows())
def test_every_name_of_the_table_exists(theirs: str, ours: str) -> None:
    assert names(theirs)
    for name in names(ours):
        if name.startswith("kernels."):
            pytest.importorskip("stackgrad.kernels", exc_type=ImportError)
        assert exists(name), name


def test_the_table_has_every_function_of_the_course_modules() -> None:
    ours = [name for row in rows() for name in names(row[1])]
    assert {f"nn.course.{name}" for name in course.__all__} <= set(ours)
    theirs = [name for row in rows() for name in names(row[0])]
    assert len(theirs) == len(set(theirs))
    for name in (*course.__all__, "conv1d", "conv2d", "tensor_conv1d", "tensor_conv2d"):
        assert name in theirs
    assert not exists("nn.nonsense")
