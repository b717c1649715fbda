"""Creating tensors."""

from collections import deque

import numpy as np
import pytest

from stackgrad.tensor import (
    Tensor,
    arange,
    bernoulli,
    from_numpy,
    full,
    maximum,
    ones,
    rand,
    randn,
    tensor,
    where,
    zeros,
)


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1.5, "float32", ()),
        (2, "int64", ()),
        (True, "bool", ()),
        ([], "float32", (0,)),
        ([[], []], "float32", (2, 0)),
        ([1, 2], "int64", (2,)),
        ([1, 2.5], "float32", (2,)),
        ([[True], [False]], "bool", (2, 1)),
        ((1.0, 2.0), "float32", (2,)),
        (range(3), "int64", (3,)),
        ([np.float64(1), np.float64(2)], "float64", (2,)),
        (np.float64(2), "float64", ()),
        (np.zeros((2, 3)), "float64", (2, 3)),
        (np.zeros(2, np.float32), "float32", (2,)),
        (np.array([True]), "bool", (1,)),
        ([np.zeros(2, np.float32), np.ones(2, np.float32)], "float32", (2, 2)),
    ],
)
def test_the_dtype_and_shape_of_data(data, dtype, shape):
    x = tensor(data)
    assert x.dtype == dtype
    assert x.shape == shape
    assert x.tolist() == np.asarray(list(data) if isinstance(data, range) else data).tolist()
    assert x.is_leaf
    assert not x.requires_grad


def test_an_explicit_dtype():
    assert tensor([1, 2], dtype="float64").dtype == np.float64
    assert tensor(np.array([1, 2], np.int32), dtype="int64").tolist() == [1, 2]
    assert tensor([1.7], dtype="int64").tolist() == [1]
    assert tensor([1e300], dtype="float32").tolist() == [np.inf]
    assert tensor([0, 2], dtype=bool).tolist() == [False, True]
    assert tensor(np.array([1.5], ">f8"), dtype=float).tolist() == [1.5]


def test_tensor_copies_and_from_numpy_shares():
    array = np.zeros(3, np.float32)
    copied, shared = tensor(array), from_numpy(array)
    array[0] = 5
    assert copied.tolist() == [0.0, 0.0, 0.0]
    assert shared.tolist() == [5.0, 0.0, 0.0]
    assert np.shares_memory(shared.numpy(), array)
    shared[1] = 6
    assert array[1] == 6


def test_a_copy_is_in_c_order():
    for array in (np.zeros((3, 4)).T, np.zeros(6)[::-2], np.broadcast_to(np.zeros(1), (4,))):
        assert tensor(array).owns_memory


def test_from_numpy_takes_any_strides_and_drops_subclasses():
    array = np.arange(6.0).reshape(2, 3).T[::-1]
    np.testing.assert_array_equal(from_numpy(array).numpy(), array)
    assert type(from_numpy(np.zeros(3).view(np.recarray)).data) is np.ndarray


def test_a_tensor_of_a_tensor_is_a_copy():
    x = tensor([1.0, 2.0], dtype="float64", requires_grad=True)
    y = tensor(x)
    assert y.dtype == np.float64
    assert not y.requires_grad
    assert not np.shares_memory(y.numpy(), x.detach().numpy())
    assert tensor(x, dtype="float32").dtype == np.float32


@pytest.mark.parametrize(
    ("data", "expected"),  # PyTorch's results
    [
        ([np.ones(2)], "float64"),
        ((np.ones(2), np.ones(2)), "float64"),
        ([[np.ones(2)], [np.ones(2, np.float32)]], "float64"),
        ([np.ones(2, np.float32)], "float32"),
        ([np.ones(2), [1.0, 2.0]], "float64"),
        ([[1, 2], np.ones(2)], "float64"),
        ([np.ones(2, int), [1.0, 2.0]], "float32"),
        ([np.ones(2, int), np.ones(2, np.float32)], "float32"),
        ([np.ones(2, int), [True, False]], "int64"),
        ([np.ones(2, bool)], "bool"),
        ([1, np.float64(1)], "float64"),
        ([1.0, np.float32(1)], "float32"),
        ([1, np.float32(1)], "float32"),
        ([True, np.int8(1)], "int64"),
        ([tensor(1.0, dtype="float64"), 2.0], "float64"),
        ([tensor(1.0), tensor(2.0)], "float32"),
        ([tensor(1), 2.5], "float32"),
        ([np.ones(0)], "float64"),
        ([np.ones(0, int)], "int64"),
        ([[], []], "float32"),
        (range(0), "float32"),
        (range(2), "int64"),
        (deque([1.5]), "float32"),
    ],
)
def test_arrays_and_scalars_in_a_sequence_keep_their_dtype(data, expected):
    assert tensor(data).dtype == expected


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (
            np.array([1, 2], np.int32),
            TypeError,
            "data of dtype int32: expected float32, float64, int64 or bool; pass dtype= to convert",
        ),
        (np.array([1, 2], np.float16), TypeError, "dtype float16: expected"),
        ([2**63], TypeError, "dtype uint64: expected"),
        ([2**70], TypeError, "data of dtype object: expected numbers, or nested sequences of numbers"),
        ("abc", TypeError, "data of dtype <U3: expected numbers"),
        ([1j], TypeError, "data of dtype complex128: expected numbers"),
        (None, TypeError, "data of dtype object: expected numbers"),
        ([[1, 2], [3]], ValueError, "the data is ragged: expected rows of equal length"),
    ],
)
def test_invalid_data_is_named(data, error, message):
    with pytest.raises(error, match=message):
        tensor(data)


def test_from_numpy_takes_aligned_arrays_only():
    array = np.zeros(9, np.uint8)[1:].view(np.float32)
    with pytest.raises(ValueError, match=r"elements are not aligned in memory: copy it with tensor\(...\)"):
        from_numpy(array)
    assert tensor(array).tolist() == [0.0, 0.0]


def test_from_numpy_takes_arrays_only():
    with pytest.raises(TypeError, match=r"from_numpy of list: expected a NumPy array; use tensor\(...\)"):
        from_numpy([1.0])
    for dtype in ("uint8", "int32", "float16", ">f4", "complex64"):
        message = rf"from_numpy of an array of dtype {dtype}: .* use array.astype\(...\) or tensor\(array, dt"
        with pytest.raises(TypeError, match=message):
            from_numpy(np.zeros(2, dtype))
    with pytest.raises(TypeError, match="a tensor of dtype int64 has no gradient"):
        from_numpy(np.zeros(2, np.int64), requires_grad=True)


@pytest.mark.parametrize("make", [zeros, ones, rand, randn])
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 3), (2, 3)),
        (((2, 3),), (2, 3)),
        (([2, 3],), (2, 3)),
        ((), ()),
        (((),), ()),
        ((0, 2), (0, 2)),
        ((np.int64(2),), (2,)),
    ],
)
def test_shapes_and_dtypes(make, shape, expected):
    x = make(*shape)
    assert x.shape == expected
    assert x.dtype == np.float32
    assert make(*shape, dtype="float64", requires_grad=True).requires_grad
    assert make(*shape, dtype="float64").dtype == np.float64


@pytest.mark.parametrize(
    "make", [zeros, ones, rand, randn, lambda *shape: full(shape, 1.0), lambda *shape: bernoulli(0.5, *shape)]
)
def test_an_invalid_shape_is_named(make):
    with pytest.raises(ValueError, match=r"shape \(2, -1\) is not valid: expected extents of 0 or more"):
        make(2, -1)
    with pytest.raises(TypeError, match=r"shape \(2.5,\): expected integers"):
        make(2.5)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "int64"),
        (1.5, "float32"),
        (True, "bool"),
        (np.int64(3), "int64"),
        (np.float64(2), "float64"),
        (np.int8(3), "int64"),
        (np.float16(2), "float32"),
        (np.bool_(True), "bool"),
    ],
)
def test_full_has_the_dtype_of_its_value(value, dtype):
    x = full((2,), value)
    assert x.dtype == dtype
    assert x.tolist() == [value, value]
    assert full(2, value, dtype="float64").dtype == np.float64


def test_full_of_a_tensor():
    assert full((2,), tensor(2.5, dtype="float64")).dtype == np.float64
    assert full([1, 2], tensor([3])).tolist() == [[3, 3]]
    with pytest.raises(ValueError, match=r"item\(\) of a tensor of shape \(2,\): expected one element"):
        full((2,), tensor([1, 2]))
    with pytest.raises(TypeError, match="'a': got str, expected a tensor or a real number"):
        full((2,), "a")


@pytest.mark.parametrize(
    ("arguments", "expected", "dtype"),
    [
        ((3,), [0, 1, 2], "int64"),
        ((1, 4), [1, 2, 3], "int64"),
        ((4, 0, -2), [4, 2], "int64"),
        ((0,), [], "int64"),
        ((0, 1, 0.25), [0.0, 0.25, 0.5, 0.75], "float32"),
        ((2.0,), [0.0, 1.0], "float32"),
        ((np.int64(2),), [0, 1], "int64"),
        ((3, 1), [], "int64"),
    ],
)
def test_arange(arguments, expected, dtype):
    x = arange(*arguments)
    assert x.tolist() == expected
    assert x.dtype == dtype
    assert arange(*arguments, dtype="float64").dtype == np.float64


def test_arange_of_integers_truncates_its_arguments():
    assert arange(0.5, 4, 1.5, dtype="int64").tolist() == [0, 1, 2, 3]
    assert arange(1, 2.5, dtype="int64").tolist() == [1]
    assert arange(-1.5, 1.5, dtype="int64").tolist() == [-1, 0]


@pytest.mark.parametrize("arguments", [(None,), (None, 3)])
def test_arange_of_none_is_refused(arguments):
    with pytest.raises(TypeError, match=r"arange from .*None.*: expected numbers"):
        arange(*arguments)


@pytest.mark.parametrize(("step", "dtype"), [(0, None), (0.0, None), (0.25, "int64")])
def test_arange_with_step_0_is_refused(step, dtype):
    with pytest.raises(ValueError, match="arange with step 0 never ends"):
        arange(0, 3, step, dtype=dtype)


@pytest.mark.parametrize("make", [rand, randn])
def test_random_integers_are_refused(make):
    with pytest.raises(TypeError, match="random numbers of dtype int64: expected float32 or float64"):
        make(3, dtype="int64")


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_probability_is_from_0_to_1(p):
    with pytest.raises(ValueError, match=f"bernoulli: p {p}: expected 0 to 1"):
        bernoulli(p, 3)


def test_the_dtype_of_bernoulli():
    assert bernoulli(0.5, 3).dtype == np.float32
    assert bernoulli(0.5, 3, dtype="int64").dtype == np.int64
    assert bernoulli(0.5).shape == ()


def test_functions_of_several_tensors_make_tensors():
    x = tensor([1.0, 2.0], requires_grad=True)
    for out in (where(x > 1, x, 0), maximum(x, 1.5), maximum(1.5, x)):
        assert type(out) is Tensor
        assert out.requires_grad
