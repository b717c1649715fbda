"""Indexing beyond the cases of stackgrad.tensor.testing: views, PyTorch's rule for integers, and errors."""

import numpy as np
import pytest
from hypothesis import given, settings

from stackgrad.tensor import NumpyBackend, arange, from_numpy, get_backend, grad_check, no_grad, ones, tensor, zeros
from stackgrad.tensor.testing import MEMORY_CASES, draw_key, draws


@pytest.mark.parametrize("case", [case for case in MEMORY_CASES if case.name == "indexing"], ids=str)
def test_random_keys(case):
    case.run("numpy", max_examples=200 if case.kind == "values" else None)


@given(draws())
@settings(max_examples=50)
def test_lists_and_arrays_are_equivalent_keys(draw):
    shape = draw.shape()
    array = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    key = draw_key(draw, shape)
    lists = tuple(k.tolist() if isinstance(k, np.ndarray) and k.size else k for k in key)
    tensors = tuple(tensor(k) if isinstance(k, np.ndarray) else k for k in key)
    expected = array[key]
    x = from_numpy(array)
    for form in (key, lists, tensors):
        np.testing.assert_array_equal(x[form].numpy(), expected)


def test_a_basic_key_gives_a_view():
    x = zeros(3, 4)
    for view in (x[1], x[1:, ::-2], x[..., None], x[:, 0], x[...]):
        assert np.shares_memory(view.numpy(), x.numpy())
    x[1:][0, 1:3] = 5
    assert x[1].tolist() == [0.0, 5.0, 5.0, 0.0]


def test_arrays_give_a_copy():
    x = zeros(3, 4)
    for copy in (x[[0, 1]], x[x == 0], x[tensor(1)]):
        assert not np.shares_memory(copy.numpy(), x.numpy())


def test_integers_next_to_arrays_apply_first():
    # As in PyTorch; NumPy would treat the 0 as an index array and put their dimension first.
    x = arange(24).reshape(2, 3, 4)
    assert x[0, :, [1, 2]].shape == (3, 2)
    assert x[0, :, [1, 2]].tolist() == x[0][:, [1, 2]].tolist()


@pytest.mark.parametrize(
    "key",
    [
        lambda i: (i(1), slice(None), [1, 2]),
        lambda i: ([0, 1], i(-1), [1, 2]),
        lambda i: (slice(None), i(2), [1, 2]),
        lambda i: ([1, 1], slice(None), i(3)),
        lambda i: (slice(1), slice(None), i(-4)),
        lambda i: (i(0), [[0, 2]], i(1)),
        lambda i: (i(1), i(2), i(3)),
    ],
)
def test_a_tensor_of_one_integer_counts_as_an_integer(key):
    x = arange(24).reshape(2, 3, 4)
    plain = key(int)
    for index in (tensor, np.array):
        assert x[key(index)].tolist() == x[plain].tolist()
        assert x[key(index)].shape == x[plain].shape
        written, expected = x.clone(), x.clone()
        written[key(index)] = -x[plain]
        expected[plain] = -x[plain]
        assert written.tolist() == expected.tolist()


def test_separated_arrays_put_their_dimensions_first():
    array = np.arange(24).reshape(2, 3, 4)
    x = from_numpy(array)
    np.testing.assert_array_equal(x[[0, 1], :, [1, 2]].numpy(), array[[0, 1], :, [1, 2]])
    np.testing.assert_array_equal(x[[0, 1], None, [1, 2]].numpy(), array[[0, 1], None, [1, 2]])


@pytest.mark.parametrize(
    "key",
    [
        (1,),
        (slice(None), -1),
        (slice(None, None, -2), None, 1),
        ([0, 1, 0],),
        (slice(1), [2, 2], slice(None)),
        ([[0], [1]], [0, 2]),
        (np.array([True, False]),),
        (..., [3, 0, 3]),
        ([],),
    ],
)
def test_gradients(key):
    x = tensor(np.random.default_rng(0).normal(size=(2, 3, 4)))
    grad_check(lambda x: x[key], x)


def test_the_gradient_of_a_repeated_element_accumulates():
    x = tensor([1.0, 2.0], requires_grad=True)
    x[[0, 0, 1, 0]].sum().backward()
    assert x.grad.tolist() == [3.0, 1.0]


# --- writing


def test_overlapping_writes_act_as_if_the_source_were_copied():
    for key, source in (
        ((slice(1, None),), (slice(-1),)),
        ((slice(-1),), (slice(1, None),)),
        (([1, 2, 3],), (slice(3),)),
    ):
        x, expected = arange(6), np.arange(6)
        x[key] = x[source]
        expected[key] = expected[source].copy()
        assert x.tolist() == expected.tolist()
    x = arange(3)
    x[[1, 2, 0]] = x
    assert x.tolist() == [2, 0, 1]
    x = arange(4).reshape(2, 2)
    x[...] = x.T
    assert x.tolist() == [[0, 2], [1, 3]]


def test_writing_by_mask_and_by_index():
    x = tensor([1.0, -2.0, 3.0, -4.0])
    x[x < 0] = 0
    assert x.tolist() == [1.0, 0.0, 3.0, 0.0]
    x[x == 0] = tensor([7.0, 8.0])
    assert x.tolist() == [1.0, 7.0, 3.0, 8.0]
    x[[0, 0]] = [5.0, 6.0]  # the last wins
    assert x.tolist() == [6.0, 7.0, 3.0, 8.0]
    y = zeros(2, 3).T  # not contiguous
    y[[0, 2]] = 1
    assert y.tolist() == [[1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    z = zeros(2, 3)
    z.T[[0, 2]] = 1
    assert z.tolist() == [[1.0, 0.0, 1.0], [1.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    "value", [2, 2.5, True, np.float32(2), np.array([1, 2], np.int32), [1.0, 2.0], np.float64(0.1)]
)
def test_values_that_can_be_written(value):
    x = zeros(3, 2)
    x[1] = value
    np.testing.assert_allclose(x[1].numpy(), np.broadcast_to(np.asarray(value, np.float32), 2))
    assert x[0].tolist() == [0.0, 0.0]


def test_a_value_may_have_leading_dimensions_of_1():
    x = zeros(3)
    x[:] = ones(1, 1, 3)
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_nothing_is_written_to_an_empty_part():
    x = ones(3)
    x[3:] = 5
    x[[]] = 5
    x[x > 2] = 5
    x.expand(0, 3)[...] = 5
    assert x.tolist() == [1.0, 1.0, 1.0]


def test_no_dimensions():
    x = tensor(2.0)
    assert x[()].item() == 2.0
    assert x[None].shape == (1,)
    assert x[...].shape == ()
    x[()] = 3
    x[...] += 1
    assert x.item() == 4.0
    with pytest.raises(IndexError, match=r"1 indices for a tensor of shape \(\): expected 0 at most"):
        x[0]


# --- errors


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (3, r"index 3 is out of range for dim 0 of extent 3"),
        ((0, -5), r"index -5 is out of range for dim 1 of extent 4"),
        ([0, 3], r"index 3 is out of range for dim 0 of extent 3"),
        (([0], [-5]), r"index -5 is out of range for dim 1 of extent 4"),
        ((0, 0, 0), r"3 indices for a tensor of shape \(3, 4\): expected 2 at most"),
        ((..., ...), r"an index can contain only one \.\.\."),
        (True, "index True: a single bool selects nothing"),
        (np.array(True), "a single bool selects nothing"),
        ([True, False], r"bool index of shape \(2,\) for dims of shape \(3,\): expected the same shape"),
        ([0.5], r"index \[0.5\]: expected integers, slices, \.\.\., None, or int64 or bool arrays"),
        ("a", "index 'a': expected integers, slices"),
    ],
)
def test_an_invalid_key_is_named(key, message):
    x = zeros(3, 4)
    with pytest.raises(IndexError, match=message):
        x[key]
    with pytest.raises(IndexError, match=message):
        x[key] = 1


def test_an_invalid_index_tensor_is_named():
    x = zeros(3, 4)
    with pytest.raises(IndexError, match="index of dtype float32: expected int64 or bool"):
        x[tensor([1.0])]
    with pytest.raises(IndexError, match="a single bool selects nothing"):
        x[tensor(True)]
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\) do not broadcast"):
        x[[0, 1], [0, 1, 2]]
    other = type("Other", (NumpyBackend,), {"name": "other"})()
    with pytest.raises(ValueError, match=r"index on backend 'other' for a tensor on 'numpy': bring it over with .to"):
        x[tensor([0], backend=other)]


@pytest.mark.parametrize(
    ("target", "value", "error", "message"),
    [
        (zeros(3, backend="numpy"), [1.0, 2.0], ValueError, r"shapes \(2,\) and \(3,\) do not broadcast"),
        (
            zeros(3, backend="numpy"),
            ones(2, 3, backend="numpy"),
            ValueError,
            r"value of shape \(2, 3\) does not broadcast to \(3,\)",
        ),
        (
            arange(3, backend="numpy"),
            2.5,
            TypeError,
            r"in-place write of float64 into int64 would lose values: use .astype\(int64\)",
        ),
        (arange(3, backend="numpy"), ones(3, backend="numpy"), TypeError, "in-place write of float32 into int64"),
        (ones(2, dtype="bool", backend="numpy"), 1, TypeError, "in-place write of int64 into bool would lose values"),
        (zeros(2, backend="numpy"), "a", TypeError, "data of dtype <U1: expected real numbers"),
        (zeros(2, backend="numpy"), [[1], [2, 3]], ValueError, "in-place write of ragged data"),
        (
            zeros(1, backend="numpy").expand(3),
            1,
            ValueError,
            r"expanded view of shape \(3,\): its elements share memory; clone",
        ),
    ],
)
def test_an_invalid_value_is_named(target, value, error, message):
    with pytest.raises(error, match=message):
        target[...] = value


def test_tensors_of_two_backends_do_not_mix():
    other = type("Other", (NumpyBackend,), {"name": "other"})()
    with pytest.raises(ValueError, match="in-place write: tensors on backends 'numpy' and 'other' do not mix"):
        zeros(2)[...] = zeros(2, backend=other)


def test_a_leaf_is_written_only_without_recording():
    x = zeros(2, requires_grad=True)
    for write in (lambda: x.__setitem__(0, 1), lambda: x[0:1].zero_(), lambda: x.add_(1)):
        with pytest.raises(RuntimeError, match=r"requires a gradient: do it under no_grad\(\), or out of place"):
            write()
    with no_grad():
        x[0] = 1
        x.mul_(3).add_(tensor([1.0, 2.0]))
    assert x.tolist() == [4.0, 2.0]
    assert x.is_leaf


def test_a_read_only_array_does_not_change():
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    x = from_numpy(array)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 1
    assert get_backend("numpy").to_numpy(x.data) is array
