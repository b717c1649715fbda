"""Tensor operations: reductions, joins and views beyond the cases of stackgrad.tensor.testing."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

from stackgrad.tensor import (
    NumpyBackend,
    arange,
    concatenate,
    from_numpy,
    full,
    grad,
    grad_check,
    log_softmax,
    minimum,
    ones,
    softmax,
    stack,
    tensor,
    zeros,
)
from stackgrad.tensor.testing import REDUCE_CASES, Limits, draws, uniform

OTHER = type("Other", (NumpyBackend,), {"name": "other"})()
F64 = np.dtype("float64")


@pytest.mark.parametrize("case", REDUCE_CASES, ids=str)
def test_on_numpy(case):
    case.run("numpy")


# --- reductions, with the properties of max and min


@given(draws())
def test_the_largest_is_an_element_that_none_exceeds(draw):
    x = from_numpy(draw.sample(draw.shape(1, least=1), uniform(F64)).numpy())
    dim = draw.dim(x.ndim) - draw.choice((0, x.ndim))
    for largest, sign in ((x.max(dim, keepdim=True), 1), (x.min(dim, keepdim=True), -1)):
        assert bool(((x - largest) * sign <= 0).astype("int64").prod() == 1)
        assert bool((x == largest).astype("int64").sum(dim).min() >= 1)
        np.testing.assert_array_equal(largest.numpy(), sign * np.max(sign * x.numpy(), axis=dim, keepdims=True))


@given(draws())
def test_the_gradient_of_the_largest_goes_to_the_first_of_equals(draw):
    shape = draw.shape(1, least=1)
    values = draw.rng.integers(0, 3, shape).astype(F64)
    dim = draw.dim(len(shape))
    for name in ("max", "min"):
        x = tensor(values, requires_grad=True)
        getattr(x, name)(dim).sum().backward()
        first = getattr(np, f"arg{name}")(values, axis=dim)
        expected = np.zeros(shape)
        np.put_along_axis(expected, np.expand_dims(first, dim), 1, axis=dim)
        np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_equals_share_the_gradient_of_the_largest_over_several_dims_or_all():
    x = tensor([[[1.0, 3.0], [3.0, 2.0]], [[3.0, 0.0], [0.0, 0.0]]], requires_grad=True)
    x.max((0, 2)).sum().backward()
    assert x.grad.tolist() == [[[0.0, 0.5], [1.0, 0.0]], [[0.5, 0.0], [0.0, 0.0]]]
    y = tensor([[2.0, 5.0], [5.0, 2.0]], requires_grad=True)
    (y.max() + y.min() * 10).backward()
    assert y.grad.tolist() == [[5.0, 0.5], [0.5, 5.0]]
    z = tensor([math.nan, 1.0, math.nan], requires_grad=True)
    z.min().backward(tensor(math.inf))
    assert z.grad.tolist() == [math.inf, 0.0, math.inf]


def test_equal_operands_share_the_gradient():
    x, y = tensor([1.0, 2.0], requires_grad=True), tensor([1.0, 3.0], requires_grad=True)
    x.maximum(y).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([0.5, 0.0], [0.5, 1.0])
    x.grad = y.grad = None
    minimum(x, y).sum().backward()
    assert (x.grad.tolist(), y.grad.tolist()) == ([0.5, 1.0], [0.5, 0.0])


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var"])
@pytest.mark.parametrize("dim", [None, 0, -1, (0, 2), [1], (0, 1, 2)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_reductions_are_numpys(name, dim, keepdim):
    array = np.random.default_rng(0).normal(size=(2, 3, 4))
    axis = tuple(dim) if isinstance(dim, list) else dim
    expected = getattr(array, name)(axis=axis, keepdims=keepdim, **({"ddof": 1} if name == "var" else {}))
    found = getattr(tensor(array), name)(dim, keepdim=keepdim)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var"])
def test_an_empty_dim_means_all(name):
    x = tensor([[1.0, 2.0, 4.0]])
    assert getattr(x, name)(()).item() == getattr(x, name)().item()
    assert getattr(x, name)([], keepdim=True).shape == (1, 1)


@pytest.mark.parametrize("dim", [0, -1, None, (), (0,), [-1]])
def test_a_tensor_without_dimensions_counts_as_having_one(dim):
    x = tensor(3.0, dtype="float64", requires_grad=True)
    for name in ("sum", "mean", "prod", "max", "min"):
        for keepdim in (False, True):
            out = getattr(x, name)(dim, keepdim=keepdim)
            assert (out.shape, out.item()) == ((), 3.0)
            assert grad(out, x)[0].item() == 1.0
    assert np.isnan(x.var(dim).item())
    assert x.var(dim, correction=0).item() == 0.0
    assert x.squeeze(dim).shape == ()
    if not isinstance(dim, (tuple, list)):
        assert (x.argmax(dim).item(), x.argmin(dim, keepdim=True).shape) == (0, ())
    if isinstance(dim, int):
        assert grad(x.cumsum(dim), x)[0].item() == 1.0
        assert softmax(x, dim).item() == 1.0
        assert grad(log_softmax(x, dim), x)[0].item() == 0.0
        assert x.transpose(dim, 0).shape == ()
        assert x.flatten(dim).shape == x.flatten(0, dim).shape == x.unsqueeze(dim).shape == (1,)
        assert stack([x, x], dim).tolist() == [3.0, 3.0]


@pytest.mark.parametrize("dim", [1, -2, (0, -1), (0, 1)])
def test_a_tensor_without_dimensions_has_no_second(dim):
    x = tensor(3.0)
    calls = [x.sum, x.mean, x.prod, x.max, x.min, x.var, x.squeeze]
    if isinstance(dim, int):
        calls += [x.argmax, x.cumsum, x.unsqueeze, x.flatten, lambda d: x.transpose(d, 0), lambda d: softmax(x, d)]
    for call in calls:
        with pytest.raises((IndexError, ValueError), match=r"dim .* is out of range|names a dimension twice"):
            call(dim)


def test_reducing_no_dimension_is_a_copy():
    for name in ("sum", "max", "prod"):
        assert getattr(tensor(3.0), name)().owns_memory
    total = tensor(3.0)
    total.sum().add_(1)
    assert total.item() == 3.0


def test_reductions_of_no_elements():
    assert zeros(0).sum().item() == 0.0
    assert zeros(0, 3).prod(0).tolist() == [1.0, 1.0, 1.0]
    assert np.isnan(zeros(0).mean().item())
    assert np.isnan(zeros(3, 0).mean(1).numpy()).tolist() == [True, True, True]
    assert zeros(0, 3).mean(1).shape == (0,)
    assert np.isnan(zeros(0).var().item())
    assert np.isnan(tensor(2.0).var().item())
    assert np.isnan(ones(3).var(correction=4).item())
    assert zeros(0, 3).max(1).shape == (0,)
    assert zeros(0, 3).argmax(1).shape == (0,)
    for name in ("max", "min"):
        with pytest.raises(
            ValueError, match=rf"{name} over dim \(0,\) of shape \(0, 3\): there is nothing to take the {name} of"
        ):
            getattr(zeros(0, 3), name)(0)
        with pytest.raises(ValueError, match=rf"arg{name} over dim 1 of shape \(3, 0\): there is nothing"):
            getattr(zeros(3, 0), f"arg{name}")(1)
        with pytest.raises(ValueError, match=rf"arg{name} over dim None of shape \(0,\)"):
            getattr(zeros(0), f"arg{name}")()


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var"])
def test_gradients_of_empty_tensors_are_empty(name):
    x = zeros(0, 3, requires_grad=True)
    getattr(x, name)(0).sum().backward()
    assert x.grad.shape == (0, 3)


def test_variance_subtracts_the_correction():
    x = tensor([1.0, 2.0, 4.0, 9.0], dtype="float64")
    for correction in (0, 1, 2):
        assert x.var(correction=correction).item() == pytest.approx(np.var(x.numpy(), ddof=correction))


def test_a_product_with_zeros_has_a_gradient():
    for zeros_at in ([], [1], [0, 2]):
        values = np.array([2.0, 3.0, 4.0])
        values[zeros_at] = 0
        grad_check(lambda x: x.prod(), tensor(values))


def test_argmax_and_argmin():
    x = tensor([[1.0, 5.0, 5.0], [7.0, 0.0, 7.0]])
    assert x.argmax(1).tolist() == [1, 0]
    assert x.argmin(0).tolist() == [0, 1, 0]
    assert x.argmax().item() == 3
    assert x.argmax(keepdim=True).tolist() == [[3]]
    assert x.argmax(-1, keepdim=True).shape == (2, 1)
    assert tensor(3.0).argmax().item() == 0
    assert tensor([1.0, float("nan"), 2.0]).argmin().item() == 1
    assert x.argmax().dtype == np.int64
    assert tensor([False, True]).argmax().item() == 1


def test_running_sums():
    assert arange(4).cumsum(0).tolist() == [0, 1, 3, 6]
    assert tensor([True, True]).cumsum(0).tolist() == [1, 2]
    assert zeros(0).cumsum(0).shape == (0,)
    with pytest.raises(IndexError, match="dim 1 is out of range for 1 dimensions: expected -1 to 0"):
        arange(4).cumsum(1)


AXES = {
    "sum": lambda x, **names: x.sum(**names),
    "mean": lambda x, **names: x.mean(**names),
    "prod": lambda x, **names: x.prod(**names),
    "max": lambda x, **names: x.max(**names),
    "min": lambda x, **names: x.min(**names),
    "var": lambda x, **names: x.var(**names),
    "argmax": lambda x, **names: x.argmax(**names),
    "argmin": lambda x, **names: x.argmin(**names),
}
ALONG = {
    "cumsum": lambda x, **names: x.cumsum(**names),
    "softmax": softmax,
    "log_softmax": log_softmax,
    "squeeze": lambda x, **names: x[:, :1].squeeze(**names),
    "unsqueeze": lambda x, **names: x.unsqueeze(**names),
    "concatenate": lambda x, **names: concatenate([x, x], **names),
    "stack": lambda x, **names: stack([x, x], **names),
}


@pytest.mark.parametrize("name", AXES | ALONG)
def test_numpys_names_mean_the_same(name):
    x = tensor([[1.0, 5.0, 2.0], [3.0, 0.0, 4.0]])
    for dim in (0, 1, -1):
        function = (AXES | ALONG)[name]
        assert function(x, axis=dim).tolist() == function(x, dim=dim).tolist()
        if name in AXES:
            for keep in (False, True):
                assert function(x, axis=dim, keepdims=keep).tolist() == function(x, dim=dim, keepdim=keep).tolist()
                assert function(x, axis=dim, keepdim=keep).tolist() == function(x, dim=dim, keepdims=keep).tolist()
                assert function(x, keepdims=keep).tolist() == function(x, keepdim=keep).tolist()
    with pytest.raises(TypeError, match="both dim and axis"):
        function(x, dim=1, axis=1)
    with pytest.raises(TypeError, match=r"unexpected .*'axes'"):
        function(x, axes=1)
    if name in ALONG:
        with pytest.raises(TypeError, match="'keepdims'"):
            function(x, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "max", "min", "var", "argmax", "argmin"])
def test_numpys_functions_take_tensors(name):
    x = tensor([[1.0, 5.0, 2.0], [3.0, 0.0, 4.0]], dtype="float64", requires_grad=True)
    function = getattr(np, name)
    for options in ({}, {"axis": 1}, {"axis": 0, "keepdims": True}):
        out = function(x, **options)
        assert isinstance(out, type(x))
        np.testing.assert_allclose(out.detach(), function(x.detach().numpy(), **options))
    if not name.startswith("arg"):
        assert grad(function(x), x)[0].shape == (2, 3)
        with pytest.raises(TypeError, match=rf"{name}: out= is not supported: write the result with"):
            function(x, out=np.zeros(()))


def test_reductions_compute_in_the_given_dtype():
    x = tensor([True, True, False])
    assert x.sum(dtype="float32").dtype == np.float32
    assert arange(3).mean(dtype="float64").tolist() == 1.0
    assert arange(3).var(dtype="float32").tolist() == 1.0
    assert arange(1, 4).prod(dtype="float64").dtype == np.float64
    assert tensor([1.5, 2.5]).cumsum(0, dtype="int64").tolist() == [1, 3]
    assert np.sum(x, dtype=np.float32).item() == 2.0


@pytest.mark.parametrize("name", ["mean", "var"])
@pytest.mark.parametrize("values", [[1, 2], 3, []])
def test_means_are_of_floats(name, values):
    message = rf"{name} of dtype int64: expected float32 or float64; use .astype\(float32\)"
    with pytest.raises(TypeError, match=message):
        getattr(tensor(values, dtype="int64"), name)()


@pytest.mark.parametrize("name", ["sum", "prod", "max", "argmax", "mean", "var"])
def test_a_missing_dim_is_named(name):
    with pytest.raises(IndexError, match="dim 2 is out of range for 2 dimensions: expected -2 to 1"):
        getattr(ones(2, 3), name)(2)


# --- joining


def test_concatenation():
    x, y = tensor([[1, 2]]), tensor([[3.5, 4.5], [5.5, 6.5]])
    assert concatenate([x, y]).tolist() == [[1.0, 2.0], [3.5, 4.5], [5.5, 6.5]]
    assert concatenate([x, y[:1]], -1).tolist() == [[1.0, 2.0, 3.5, 4.5]]
    assert concatenate([zeros(0, 2), y, zeros(0, 2)]).shape == (2, 2)
    assert stack([x, x], 1).shape == (1, 2, 2)
    assert stack([x, x], -1).tolist() == [[[1, 1], [2, 2]]]
    grad_check(lambda a, b: concatenate([a, b.T, a[:, :1]], 1), tensor(np.eye(2)), tensor(np.ones((3, 2))))
    grad_check(lambda a, b: stack([a, b, a], 1), tensor([1.0, 2.0]), tensor([3.0, 4.0]))


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda: concatenate([]), ValueError, "concatenate of no tensors: expected one or more"),
        (lambda: stack([]), ValueError, "stack of no tensors: expected one or more"),
        (
            lambda: concatenate([zeros(2, 3), zeros(3, 2)]),
            ValueError,
            r"along dim 0: shapes \(2, 3\) and \(3, 2\) differ in another",
        ),
        (lambda: concatenate([zeros(2), zeros(2, 1)]), ValueError, r"shapes \(2,\) and \(2, 1\) differ"),
        (lambda: stack([zeros(2), zeros(3)]), ValueError, r"stack of shapes \(2,\) and \(3,\): expected equal shapes"),
        (lambda: concatenate([zeros(2)], 1), IndexError, "dim 1 is out of range for 1 dimensions"),
        (
            lambda: concatenate([zeros()]),
            ValueError,
            "concatenate of tensors without dimensions: expected at least one",
        ),
        (lambda: stack([zeros(2)], 2), IndexError, "dim 2 is out of range for 2 dimensions"),
    ],
)
def test_invalid_joins_are_named(function, error, message):
    with pytest.raises(error, match=message):
        function()


# --- views


@given(draws(Limits(3, 50)))
@settings(max_examples=50)
def test_expand_is_numpys(draw):
    shape = draw.shape(0, 3)
    wanted = (*draw.shape(0, 1), *(n if n != 1 else draw.integer(0, 3) for n in shape))
    array = np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape)
    x = from_numpy(array, requires_grad=True)
    out = x.expand(wanted)
    np.testing.assert_array_equal(out.detach().numpy(), np.broadcast_to(array, wanted))
    out.backward(ones(wanted, dtype="float64"))
    repeats = int(np.prod(wanted)) // max(array.size, 1)
    np.testing.assert_array_equal(x.grad.numpy(), np.full(shape, repeats))


def test_expand_keeps_an_extent_at_minus_1():
    assert full((2, 1), 3).expand(-1, 4).shape == (2, 4)
    assert full((2, 1), 3).expand(5, -1, 4).shape == (5, 2, 4)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda x: x.expand(2, 4), ValueError, r"expand of shape \(2, 3\) to \(2, 4\): only extents of 1 can grow"),
        (lambda x: x.expand(3), ValueError, r"expand of shape \(2, 3\) to \(3,\)"),
        (lambda x: x.expand(-1, 2, 3), ValueError, r"expand of shape \(2, 3\) to \(-1, 2, 3\)"),
        (lambda x: x.reshape(4, 2), ValueError, r"shape \(4, 2\) does not hold 6 elements"),
        (lambda x: x.reshape(2.0, 3), TypeError, r"shape \(2.0, 3\): expected integers"),
        (lambda x: x.T.view(6), ValueError, r"view of shape \(3, 2\) as \(6,\): its strides need a copy; use reshape"),
        (lambda x: x.permute(0, 0), ValueError, r"permute \(0, 0\) of shape \(2, 3\): expected each of 2 dims once"),
        (lambda x: x.permute(0), ValueError, r"permute \(0,\) of shape \(2, 3\)"),
        (lambda x: x.permute(0, 2), IndexError, "dim 2 is out of range"),
        (lambda x: x.transpose(0, 2), IndexError, "dim 2 is out of range"),
        (lambda x: x.squeeze(2), IndexError, "dim 2 is out of range"),
        (lambda x: x.unsqueeze(3), IndexError, "dim 3 is out of range for 3 dimensions"),
        (lambda x: x.flatten(1, 0), ValueError, "flatten from dim 1 to 0: the first comes after the last"),
    ],
)
def test_invalid_views_are_named(function, error, message):
    with pytest.raises(error, match=message):
        function(zeros(2, 3))


def test_views():
    x = arange(6).reshape(2, 3)
    assert x.T.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert x.reshape([3, -1]).shape == (3, 2)
    assert x.view((6,)).shape == (6,)
    assert x.permute((1, 0)).tolist() == x.transpose(-1, 0).tolist() == x.T.tolist()
    assert x.unsqueeze(-1).shape == (2, 3, 1)
    assert x.unsqueeze(0).squeeze().shape == (2, 3)
    assert x.reshape(1, 2, 1, 3).squeeze(0).shape == (2, 1, 3)
    assert x.reshape(1, 2, 1, 3).squeeze((0, 1)).shape == (2, 1, 3)
    assert zeros(2, 3, 4).flatten(1).shape == (2, 12)
    assert zeros(2, 3, 4).flatten(0, 1).shape == (6, 4)
    assert zeros(0, 3).flatten().shape == (0,)
    assert zeros().flatten().shape == (1,)
    assert zeros().reshape(1, 1).shape == (1, 1)
    assert zeros().T.shape == ()
    assert not x.T.owns_memory
    assert x.T.contiguous().owns_memory
    assert x.contiguous() is x


def test_views_share_memory_and_its_version():
    x = zeros(2, 3)
    for view in (x.T, x.reshape(6), x.expand(2, 2, 3), x.unsqueeze(0), x[0], x.detach(), x.flatten()):
        assert view.version is x.version
    assert x.T.reshape(6).version is not x.version
    assert x.clone().version is not x.version
    x.T[0] = 1
    assert x.tolist() == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    assert x.version.count == 1
