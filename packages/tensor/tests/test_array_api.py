"""The array API standard: its names and defaults, NumPy's values, and a function that uses the standard alone."""

import inspect

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad.tensor import array_api as xp
from stackgrad.tensor import tensor

X = np.array([[3.0, 1.0, 2.0], [0.5, -1.0, 4.0]])


def standardized(x):
    """A function as a library would write it, for arrays of any namespace."""
    space = x.__array_namespace__()
    centred = x - space.mean(x, axis=-1, keepdims=True)
    scale = space.std(x, axis=-1, keepdims=True)
    return space.where(space.isfinite(x), space.divide(centred, scale), space.zeros_like(x))


def test_a_function_of_the_standard_works_and_has_a_gradient():
    x = tensor(X, requires_grad=True)
    out = standardized(x)
    np.testing.assert_allclose(out.detach().numpy(), standardized(X) if hasattr(X, "__array_namespace__") else None)
    out[0, 0].backward()
    assert np.isfinite(x.grad.numpy()).all()
    assert x.__array_namespace__(api_version="2024.12") is xp is sg.array_api
    assert x.device == "numpy"
    assert x.to_device("numpy") is x


# Each is compared with NumPy's function of the same name, which follows the standard.
CALLS = {
    "arange": lambda p, x: p.arange(2, 8, 3),
    "abs": lambda p, x: p.abs(x),
    "add": lambda p, x: p.add(x, x),
    "any": lambda p, x: p.any(x > 3, axis=1),
    "all": lambda p, x: p.all(x > -2, axis=0, keepdims=True),
    "argmax": lambda p, x: p.argmax(x, axis=1),
    "argsort": lambda p, x: p.argsort(x, axis=0),
    "astype": lambda p, x: p.astype(x, p.int64),
    "bitwise_invert": lambda p, x: p.bitwise_invert(x > 1),
    "broadcast_to": lambda p, x: p.broadcast_to(x, (4, 2, 3)),
    "clip": lambda p, x: p.clip(x, 0, 2),
    "concat": lambda p, x: p.concat([x, x], axis=None),
    "count_nonzero": lambda p, x: p.count_nonzero(x > 1, axis=1),
    "cumulative_sum": lambda p, x: p.cumulative_sum(x, axis=1, include_initial=True),
    "expand_dims": lambda p, x: p.expand_dims(x, axis=1),
    "eye": lambda p, x: p.eye(2, 3, k=1, dtype=p.float64),
    "flip": lambda p, x: p.flip(x),
    "flip along": lambda p, x: p.flip(x, axis=1),
    "full_like": lambda p, x: p.full_like(x, 7.0),
    "greater_equal": lambda p, x: p.greater_equal(x, x),
    "linspace": lambda p, x: p.linspace(0, 1, 4, endpoint=False, dtype=p.float64),
    "matrix_transpose": lambda p, x: p.matrix_transpose(x),
    "max": lambda p, x: p.max(x, axis=1),
    "meshgrid": lambda p, x: p.meshgrid(x[0], x[1])[1],
    "moveaxis": lambda p, x: p.moveaxis(x, 0, 1),
    "nonzero": lambda p, x: p.nonzero(x > 1)[1],
    "permute_dims": lambda p, x: p.permute_dims(x, (1, 0)),
    "pow": lambda p, x: p.pow(x, 2),
    "repeat": lambda p, x: p.repeat(x, 2, axis=1),
    "reshape": lambda p, x: p.reshape(x, (3, 2)),
    "roll": lambda p, x: p.roll(x, 1, axis=1),
    "round": lambda p, x: p.round(x),
    "sort": lambda p, x: p.sort(x),
    "squeeze": lambda p, x: p.squeeze(x[:1], 0),
    "stack": lambda p, x: p.stack([x, x], axis=1),
    "std": lambda p, x: p.std(x, axis=0),
    "sum": lambda p, x: p.sum(x, axis=(0, 1)),
    "take": lambda p, x: p.take(x, p.asarray([2, 0]), axis=1),
    "take_along_axis": lambda p, x: p.take_along_axis(x, p.asarray([[1], [0]]), axis=1),
    "tensordot": lambda p, x: p.tensordot(x, x, axes=((0, 1), (0, 1))),
    "tile": lambda p, x: p.tile(x, (2, 1)),
    "tril": lambda p, x: p.tril(x, k=-1),
    "unique_all": lambda p, x: p.unique_all(p.asarray([3, 1, 3, 1, 2])).indices,
    "unique_counts": lambda p, x: p.unique_counts(p.asarray([3, 1, 3])).counts,
    "unique_inverse": lambda p, x: p.unique_inverse(p.asarray([3, 1, 3])).inverse_indices,
    "unique_values": lambda p, x: p.unique_values(p.asarray([3, 1, 3])),
    "unstack": lambda p, x: p.unstack(x, axis=1)[2] if hasattr(p, "unstack") else x[:, 2],
    "var": lambda p, x: p.var(x, correction=1) if p is xp else np.var(x, ddof=1),
    "vecdot": lambda p, x: p.vecdot(x, x) if hasattr(p, "vecdot") else (x * x).sum(-1),
}


@pytest.mark.parametrize(
    "name", [name for name in CALLS if hasattr(np, name) or name in ("unstack", "vecdot", "flip along")]
)
def test_values_are_numpys(name):
    expected = CALLS[name](np, X)
    found = CALLS[name](xp, tensor(X))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert found.shape == np.shape(expected)


def test_the_standard_defines_its_own_functions():
    assert all(not name.startswith("_") for name in xp._SAME.replace(":", " ").split())
    for name in ("isfinite", "subtract", "tanh", "bool", "pi", "newaxis", "finfo", "can_cast"):
        assert hasattr(xp, name)
    for name in ("cat", "view", "unsqueeze", "Tensor_", "relu"):
        assert not hasattr(xp, name)
    assert all(callable(value) for name, value in vars(xp).items() if inspect.isfunction(value))


def test_differences_from_pytorch():
    with pytest.raises(ValueError, match=r"squeeze of axis 1 of shape \(2, 3\): expected extents of 1"):
        xp.squeeze(tensor(X), 1)
    assert np.isnan(xp.sign(tensor([float("nan")])).numpy()).all()
    assert xp.result_type(tensor([1]), xp.float64, 2.5) == xp.float64
    assert xp.asarray(np.ones(2), copy=True).tolist() == xp.asarray([1.0, 1.0]).tolist()
    x = tensor(X)
    assert xp.asarray(x) is x
    assert xp.asarray(x, copy=True) is not x
    assert xp.astype(x, xp.float64, copy=False) is x
    assert xp.astype(x, xp.float64) is not x
    assert xp.reshape(x, (2, 3), copy=True).data is not x.data
    assert xp.from_dlpack(np.ones(2)).tolist() == [1.0, 1.0]
    assert [y.shape for y in xp.broadcast_arrays(x, x[0])] == [(2, 3)] * 2
    for call, message in (
        (lambda: xp.take(x, tensor([0])), r"take of shape \(2, 3\) without axis"),
        (lambda: xp.cumulative_sum(x), r"cumulative_sum of shape \(2, 3\) without axis"),
        (lambda: xp.nonzero(tensor(1.0)), "nonzero of a tensor without dimensions"),
        (lambda: xp.asarray([1.0], copy=False), "asarray of list without a copy"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_the_namespace_describes_itself():
    info = xp.__array_namespace_info__()
    assert info.default_device() == "numpy"
    assert "numpy" in info.devices()
    assert info.default_dtypes()["real floating"] == xp.float32
    assert set(info.dtypes(kind="real floating")) == {"float32", "float64"}
    assert set(info.dtypes()) == {"bool", "int64", "float32", "float64"}
    assert info.capabilities()["boolean indexing"]
