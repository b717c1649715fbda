"""Promotion of mixed dtypes. The tables are copied from PyTorch's documentation on type promotion."""

import re

import numpy as np
import pytest

from stackgrad.tensor import bool_, concatenate, float32, float64, int64, ones, tensor, where
from stackgrad.tensor._dtypes import as_dtype, nearest_dtype, promote, scalar_dtype

b, i, f, d = bool_, int64, float32, float64

# left and right with dimensions
TENSORS = [
    (b, b, b), (b, i, i), (b, f, f), (b, d, d),
    (i, i, i), (i, f, f), (i, d, d),
    (f, f, f), (f, d, d),
    (d, d, d),
]  # fmt: skip

# left with dimensions, right without: the right one counts by its dtype kind
WEAK = [
    (b, b, b), (b, i, i), (b, f, f), (b, d, d),
    (i, b, i), (i, i, i), (i, f, f), (i, d, d),
    (f, b, f), (f, i, f), (f, f, f), (f, d, f),
    (d, b, d), (d, i, d), (d, f, d), (d, d, d),
]  # fmt: skip

# with a Python scalar
NUMBERS = [
    (b, True, b), (b, 2, i), (b, 2.5, f),
    (i, True, i), (i, 2, i), (i, 2.5, f),
    (f, True, f), (f, 2, f), (f, 2.5, f),
    (d, True, d), (d, 2, d), (d, 2.5, d),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "expected"), TENSORS)
def test_tensors(left, right, expected):
    x, y = ones(2, dtype=left), ones(2, dtype=right)
    assert (x * y).dtype == (y * x).dtype == expected
    assert x.maximum(y).dtype == expected
    assert where(tensor([True, False]), x, y).dtype == expected
    assert concatenate([x, y]).dtype == expected
    scalars = ones(dtype=left) * ones(dtype=right)
    assert scalars.dtype == expected


@pytest.mark.parametrize(("left", "right", "expected"), WEAK)
def test_a_tensor_without_dimensions(left, right, expected):
    x, y = ones(2, dtype=left), ones(dtype=right)
    assert (x * y).dtype == (y * x).dtype == expected


@pytest.mark.parametrize(("dtype", "scalar", "expected"), NUMBERS)
@pytest.mark.parametrize("shape", [(2,), ()])
def test_python_scalars(dtype, scalar, expected, shape):
    x = ones(shape, dtype=dtype)
    assert (x * scalar).dtype == (scalar * x).dtype == expected


@pytest.mark.parametrize("scalar", [np.float16(2), np.float32(2), np.float64(2), np.int8(2), np.int64(2), np.uint8(2)])
def test_numpy_scalars_count_by_their_dtype_kind(scalar):
    for out in (ones(2) * scalar, scalar * ones(2), scalar - ones(2), scalar / ones(2), scalar ** ones(2)):
        assert out.dtype == float32
        assert type(out) is type(ones(2))
    assert (ones(2, dtype=int64) * scalar).dtype == (float32 if scalar.dtype.kind == "f" else int64)


def test_a_tensor_a_scalar_and_a_weak_tensor():
    assert promote([int64], [2.5], [float64]) == float64
    assert promote([int64], [2.5], [bool_]) == float32
    assert promote([bool_], [1], [float32, float64]) == float64
    assert promote([], [True, 2.5]) == float32


@pytest.mark.parametrize(
    ("left", "right", "expected"), [(i, i, f), (b, b, f), (i, b, f), (f, i, f), (d, i, d), (i, d, d)]
)
def test_division_gives_a_float(left, right, expected):
    assert (ones(2, dtype=left) / ones(2, dtype=right)).dtype == expected


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "tanh", "sigmoid", "erf", "rsqrt", "log1p", "expm1"])
@pytest.mark.parametrize(("dtype", "expected"), [(b, f), (i, f), (f, f), (d, d)])
def test_functions_of_reals_give_a_float(name, dtype, expected):
    assert getattr(ones(2, dtype=dtype), name)().dtype == expected


@pytest.mark.parametrize("name", ["sum", "prod"])
@pytest.mark.parametrize(("dtype", "expected"), [(b, i), (i, i), (f, f), (d, d)])
def test_sums_of_integers_are_int64(name, dtype, expected):
    assert getattr(ones(2, dtype=dtype), name)().dtype == expected
    assert ones(2, dtype=dtype).cumsum(0).dtype == expected


@pytest.mark.parametrize("dtype", ["int32", "float16", "complex64", "uint8", "U3", ">f4", None])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match=rf"dtype .*{dtype}: expected float32, float64, int64 or bool$"):
        as_dtype(dtype)


@pytest.mark.parametrize("dtype", ["nonsense", "cpu", 5, 2.5, [1]])
def test_arguments_that_are_not_dtypes_are_refused(dtype):
    with pytest.raises(
        TypeError, match=rf"{re.escape(repr(dtype))} is not a dtype: expected float32, float64, int64 or"
    ):
        ones(2).astype(dtype)


def test_the_nearest_dtype():
    assert nearest_dtype(np.dtype("int16")) == int64
    assert nearest_dtype(np.dtype("float16")) == float32
    assert nearest_dtype(np.dtype("float64")) == float64
    with pytest.raises(TypeError, match="data of dtype complex64: expected real numbers"):
        nearest_dtype(np.dtype("complex64"))


@pytest.mark.parametrize("value", ["a", None, [1], 1j])
def test_arguments_that_are_not_scalars_are_named(value):
    with pytest.raises(TypeError, match=f"got {type(value).__name__}, expected a tensor or a real number"):
        scalar_dtype(value)
