"""Moving, repeating and splitting: NumPy's values, views and copies, and errors."""

import numpy as np
import pytest

from stackgrad.tensor import (
    arange,
    cat,
    chunk,
    concatenate,
    hstack,
    roll,
    split,
    stack,
    tensor,
    unbind,
    vstack,
    zeros,
)

X = np.arange(12.0, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda x: x.flip(0), X[::-1]),
        (lambda x: x.flip(0, -1), X[::-1, ::-1]),
        (lambda x: x.flip((0, 1)), X[::-1, ::-1]),
        (lambda x: x.fliplr(), X[:, ::-1]),
        (lambda x: x.flipud(), X[::-1]),
        (lambda x: x.roll(1), np.roll(X, 1)),
        (lambda x: x.roll(-5, 1), np.roll(X, -5, 1)),
        (lambda x: x.roll((1, 2), (0, 1)), np.roll(X, (1, 2), (0, 1))),
        (lambda x: roll(x, 3, 0), X),
        (lambda x: x.repeat(2, 1), np.tile(X, (2, 1))),
        (lambda x: x.repeat((2, 1, 3)), np.tile(X, (2, 1, 3))),
        (lambda x: x.tile(2), np.tile(X, 2)),
        (lambda x: x.tile((3, 1, 2)), np.tile(X, (3, 1, 2))),
        (lambda x: x.repeat_interleave(2), np.repeat(X, 2)),
        (lambda x: x.repeat_interleave(2, 0), np.repeat(X, 2, 0)),
        (lambda x: x.repeat_interleave(tensor([2, 0, 1]), dim=0), np.repeat(X, [2, 0, 1], 0)),
        (lambda x: x.movedim(0, 1), X.T),
        (lambda x: x.moveaxis((0, 1), (1, 0)), X.T),
        (lambda x: x.swapaxes(0, 1), X.T),
        (lambda x: x.swapdims(-1, 0), X.T),
        (lambda x: x.t(), X.T),
        (lambda x: x.mT, X.T),
        (lambda x: x.narrow(1, 1, 2), X[:, 1:3]),
        (lambda x: x.narrow(0, -2, 1), X[1:2]),
        (lambda x: x.select(1, -1), X[:, -1]),
        (lambda x: x.unflatten(1, (2, -1)), X.reshape(3, 2, 2)),
        (lambda x: x.ravel(), X.reshape(-1)),
        (lambda x: x.view_as(zeros(4, 3)), X.reshape(4, 3)),
        (lambda x: x.reshape_as(zeros(2, 6)), X.reshape(2, 6)),
        (lambda x: x[:1].expand_as(zeros(5, 4)), np.broadcast_to(X[:1], (5, 4))),
        (lambda x: cat([x, x], 1), np.concatenate([X, X], 1)),
        (lambda x: cat([x, x], axis=1), np.concatenate([X, X], 1)),
        (lambda x: cat((x, tensor([]))), X),
        (lambda x: hstack([x, x]), np.hstack([X, X])),
        (lambda x: hstack([x[0], x[1, 0]]), np.hstack([X[0], X[1, 0]])),
        (lambda x: vstack([x, x[0]]), np.vstack([X, X[0]])),
    ],
)
def test_values(call, expected):
    out = call(tensor(X))
    np.testing.assert_array_equal(out.numpy(), expected)


def test_parts():
    x = tensor(X)
    assert [part.shape for part in x.split(3, 1)] == [(3, 3), (3, 1)]
    assert [part.shape for part in x.split([1, 0, 2])] == [(1, 4), (0, 4), (2, 4)]
    assert [part.shape for part in split(zeros(0), 3)] == [(0,)]
    assert [part.shape for part in x.chunk(3, dim=1)] == [(3, 2), (3, 2)]
    assert [part.shape for part in chunk(zeros(0), 2)] == [(0,), (0,)]
    assert [part.tolist() for part in x.unbind(1)] == X.T.tolist()
    assert len(unbind(x)) == 3
    assert cat(x.split(2)).tolist() == X.tolist()


def test_parts_are_views_and_flips_are_copies():
    x = tensor(X)
    for part in (*x.split(2), *x.chunk(2), *x.unbind(), x.narrow(0, 0, 1), x.select(0, 0), x.t(), x.movedim(0, 1)):
        part += 1
    assert x[0, 0].item() == 7.0
    for copy in (x.flip(0), x.roll(1), x.roll(0, 0), x.repeat(1, 1), x.tile(1), x.repeat_interleave(1, 0)):
        before = x.tolist()
        copy += 1
        assert x.tolist() == before


def test_gradients_of_parts():
    x = tensor(X, requires_grad=True)
    first, second, third = x.unbind()
    (first * second + third.flip(0) * second.roll(1) + x.repeat(2, 1)[:3].sum(0)).sum().backward()
    expected = np.array([X[1] + 1, X[0] + np.roll(X[2][::-1], -1) + 1, np.roll(X[1], 1)[::-1] + 1])
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_without_dimensions():
    x = tensor(3.0)
    assert x.roll(1).item() == x.flip().item() == 3.0
    assert x.repeat(2).tolist() == [3.0, 3.0]
    assert x.repeat_interleave(2).tolist() == [3.0, 3.0]
    assert x.t().item() == x.movedim(0, 0).item() == 3.0
    for call in (lambda: x.split(1), lambda: x.chunk(1), lambda: x.unbind(), lambda: x.roll(1, 0), lambda: x.flipud()):
        with pytest.raises(IndexError, match="of a tensor without dimensions: expected one or more"):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.split(0), "split into parts of 0 along dim 0: expected 1 or more"),
        (lambda x: x.split([1, 1]), r"split into \[1, 1\] along dim 0: expected sizes of 0 or more that sum to 3"),
        (lambda x: x.chunk(0), "chunk into 0: expected 1 or more"),
        (lambda x: x.narrow(0, 2, 2), "narrow from 2 by 2 along dim 0 of extent 3: out of range"),
        (lambda x: x.repeat(2), r"repeat \(2,\) of shape \(3, 4\): expected 2 or more, of 0 or more each"),
        (lambda x: x.repeat_interleave(-1), "repeat_interleave -1: expected 0 or more"),
        (lambda x: x.roll((1, 2), 0), r"roll by \(1, 2\) along dims 0: expected a shift for each dim"),
        (lambda x: x.unflatten(1, (3, -1)), r"unflatten of dim 1 of extent 4 to \(3, -1\): the product differs"),
        (lambda x: x.movedim((0, 0), (0, 1)), "expected as many dims, each named once"),
        (lambda x: x.reshape(3, 2, 2).t(), r"t\(\) of shape \(3, 2, 2\): expected two dimensions at most"),
        (lambda x: x[0].mT, r"mT of shape \(4,\): expected two dimensions or more"),
    ],
)
def test_invalid_arguments_raise(call, message):
    with pytest.raises(ValueError, match=message):
        call(tensor(X))


def test_select_out_of_range():
    with pytest.raises(IndexError, match="index 3 is out of range for dim 0 of extent 3"):
        arange(3).select(0, 3)


def test_contiguous():
    x = arange(6).reshape(2, 3)

    assert x.is_contiguous()
    assert x.contiguous() is x
    assert not x.t().is_contiguous()
    assert x.t().contiguous().is_contiguous()
    assert x.t().contiguous().tolist() == x.t().tolist()


@pytest.mark.parametrize("function", [cat, hstack, vstack, concatenate, stack])
@pytest.mark.parametrize("given", [None, [1.0], 2.0])
def test_what_is_joined_is_tensors(function, given):
    with pytest.raises(TypeError, match=f"got {type(given).__name__}, expected tensors"):
        function([zeros(2), given])


@pytest.mark.parametrize("function", [cat, concatenate, stack])
def test_one_tensor_is_not_a_sequence_of_its_rows(function):
    name = function.__name__
    with pytest.raises(TypeError, match=rf"{name}: got one tensor, expected a sequence of them, as \[x, y\]"):
        function(zeros(2, 3), zeros(2, 3))
    with pytest.raises(ValueError, match=f"{name} of no tensors"):
        function([])


def test_repeats_are_integers():
    with pytest.raises(TypeError, match=r"got \(1.5,\): expected integers"):
        zeros(2).repeat(1.5)
