"""Tensor as an object: conversion to Python and NumPy, copies, and other backends."""

import copy
import pickle

import numpy as np
import pytest

from stackgrad.tensor import NumpyBackend, Tensor, _exchange, arange, from_dlpack, from_numpy, ones, tensor, zeros

# --- NumPy


def test_numpy_is_a_read_only_view():
    x = zeros(2, 3)
    view = x.numpy()
    assert np.shares_memory(view, x.data)
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1
    x[0, 0] = 5
    assert view[0, 0] == 5
    assert np.shares_memory(x.T.numpy(), x.data)


def test_numpy_of_a_tensor_that_requires_a_gradient_is_refused():
    x = zeros(2, requires_grad=True)
    for function in (x.numpy, lambda: np.asarray(x), (x * 2).numpy):
        with pytest.raises(
            RuntimeError, match=r"numpy\(\) of a tensor that requires a gradient: call .detach\(\).numpy"
        ):
            function()
    assert np.shares_memory(x.detach().numpy(), x.data)


def test_numpy_functions_take_tensors():
    x = tensor([1.0, 2.0])
    assert np.asarray(x).dtype == np.float32
    assert np.shares_memory(np.asarray(x), x.data)
    assert np.asarray(x, np.float64).dtype == np.float64
    copied = np.array(x)
    copied[0] = 5
    assert x.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="copy"):
        np.array(x, np.float64, copy=False)
    np.testing.assert_allclose(x, [1, 2])
    assert np.stack([x, x]).shape == (2, 2)


# --- Python


def test_items_and_lists():
    assert tensor(2.5).item() == 2.5
    assert type(tensor([[3]]).item()) is int
    assert type(tensor(True).item()) is bool
    assert tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert tensor(1.5).tolist() == 1.5
    assert zeros(0).tolist() == []
    assert tensor(2.5, requires_grad=True).item() == 2.5
    for shape in ((2,), (0,)):
        with pytest.raises(ValueError, match=rf"item\(\) of a tensor of shape \({shape[0]},\): expected one element"):
            zeros(shape).item()


def test_a_tensor_without_dimensions_is_formatted_as_its_value():
    assert f"{tensor(0.12345, requires_grad=True):.3f}" == "0.123"
    assert f"{tensor(7):>4d}|{tensor(True)}" == "   7|True"
    assert f"{tensor([1.5])}" == repr(tensor([1.5]))
    with pytest.raises(TypeError, match="unsupported format string"):
        f"{tensor([1.5]):.3f}"


def test_conversions():
    assert float(tensor([2.5])) == 2.5
    assert int(tensor(2.7)) == 2
    assert bool(tensor([[1.0]])) is True
    assert bool(tensor(0)) is False
    assert [10, 20, 30][tensor(1)] == 20
    assert [10, 20][tensor(True)] == 20
    assert list(range(tensor([2]))) == [0, 1]
    with pytest.raises(TypeError, match="a tensor of dtype float32 is not an index: expected int64 or bool"):
        [1][tensor(0.0)]
    for shape in ((2,), (0,)):
        with pytest.raises(ValueError, match=rf"a tensor of shape \({shape[0]},\) is neither true nor false"):
            bool(zeros(shape))


def test_length_and_iteration():
    x = arange(6).reshape(3, 2)
    assert len(x) == 3
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert len(zeros(0, 3)) == 0
    assert list(zeros(0, 3)) == []
    assert 3 in arange(5)
    for function in (len, list):
        with pytest.raises(TypeError, match="a tensor of no dimensions has no length"):
            function(tensor(1.0))


def test_gradients_flow_through_iteration():
    x = tensor([1.0, 2.0], requires_grad=True)
    a, b = x
    (a * b).backward()
    assert x.grad.tolist() == [2.0, 1.0]


def test_tensors_are_keys_by_identity():
    x, y = tensor([1.0]), tensor([1.0])
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (lambda: tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (lambda: tensor(2), "tensor(2)"),
        (lambda: tensor([True]), "tensor([ True])"),
        (lambda: tensor([1.0], dtype="float64"), "tensor([1.], dtype=float64)"),
        (lambda: tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
        (lambda: zeros(0, 3), "tensor([], shape=(0, 3))"),
        (lambda: tensor([1.0], backend=OTHER), "tensor([1.], backend='other')"),
    ],
)
def test_repr(x, expected):
    assert repr(x()) == expected


def test_the_repr_of_a_large_tensor_is_short():
    assert len(repr(zeros(1000, 1000))) < 1000


def test_properties():
    x = zeros(2, 3)
    assert (x.shape, x.ndim, x.size, x.dtype) == ((2, 3), 2, 6, np.float32)
    assert x.backend.name == "numpy"
    assert repr(x.backend) == "<numpy backend>"
    assert x.is_leaf
    assert x.grad is None
    with pytest.raises(AttributeError):
        x.shap  # noqa: B018
    with pytest.raises(AttributeError):
        x.garbage = 1


# --- copies


def test_clone_and_detach():
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x.clone()
    assert y.requires_grad
    assert not np.shares_memory(y.detach().numpy(), x.detach().numpy())
    d = x.detach()
    assert not d.requires_grad
    assert d.data is x.data
    (y * y).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
    assert x.expand(2, 2).clone().owns_memory


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_own_their_memory(copied):
    x = tensor([[1.0, 2.0]], requires_grad=True)
    x.grad = tensor([[3.0, 4.0]])
    y = copied(x)
    assert y.tolist() == x.tolist()
    assert y.requires_grad
    assert y.grad.tolist() == [[3.0, 4.0]]
    assert y.backend is x.backend
    assert y.is_leaf
    assert not np.shares_memory(y.data, x.data)
    assert copied(zeros(2, 3).T[1]).tolist() == [0.0, 0.0]


def test_copies_keep_the_class_and_shared_references():
    class Named(Tensor):
        __slots__ = ()

    x = Named(np.zeros(2, np.float32), zeros(1).backend)
    first, second = copy.deepcopy([x, x])
    assert type(first) is Named
    assert first is second
    assert copy.deepcopy(tensor([1.0], backend=OTHER)).backend is OTHER


def _by_buffers(x):
    """A copy by a pickle whose buffers are in read-only memory."""
    buffers = []
    data = pickle.dumps(x, 5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x)), _by_buffers])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: x[::2],
        lambda x: x.T,
        lambda x: x[:, ::-1],
        lambda x: x[0, 0],
        lambda x: x[:, :1].expand(3, 4),
        lambda x: x[:0],
        lambda x: x > 0,
        lambda x: x.long(),
    ],
)
def test_copies_of_any_layout_can_be_written_to(copied, make):
    x = make(tensor([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]))
    y = copied(x)
    assert (y.tolist(), y.dtype, y.shape) == (x.tolist(), x.dtype, x.shape)
    y.zero_()
    assert not np.shares_memory(y.data, x.data)


class Tagged(Tensor):
    """A subclass with attributes."""


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_keep_attributes_and_own_their_gradient(copied):
    x = Tagged(np.zeros(2, np.float32), zeros(1).backend)
    x.tag = ["a"]
    x.requires_grad_().grad = tensor([1.0, 2.0])
    y = copied(x)
    assert type(y) is Tagged
    assert y.tag == ["a"]
    assert y.grad.tolist() == [1.0, 2.0]
    y.grad.zero_()
    assert x.grad.tolist() == [1.0, 2.0]


def test_a_history_is_not_copied():
    y = tensor([1.0], requires_grad=True) * 2
    for function in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(
            RuntimeError, match=r"copy or pickle of a tensor that was computed and has a history: call .detach"
        ):
            function(y)
    assert copy.deepcopy(y.detach()).tolist() == [2.0]


# --- other backends


class Other(NumpyBackend):
    name = "other"


OTHER = Other()


def test_to_shares_memory_between_host_backends():
    x = zeros(2)
    y = x.to(OTHER)
    assert y.backend is OTHER
    assert np.shares_memory(y.numpy(), x.numpy())
    assert x.to("numpy") is x
    y[0] = 1
    assert x.version.count == 1
    assert (y + 1).backend is OTHER
    with pytest.raises(ValueError, match=r"backend 'nowhere' is not installed: expected one of .*numpy"):
        x.to("nowhere")


class Far(NumpyBackend):
    """A backend with its own memory, as a device."""

    name = "far"

    def from_numpy(self, array):
        return array.copy()

    def to_numpy(self, array):
        return array.copy()


FAR = Far()


def test_to_copies_to_a_device():
    x = ones(2, requires_grad=True)
    square, y = x * x, x.detach().to(FAR)
    y.add_(1)
    square.sum().backward()  # x is unchanged
    assert (x.tolist(), y.tolist()) == ([1.0, 1.0], [2.0, 2.0])


def test_numpy_does_not_accept_device_tensors(monkeypatch):
    x = ones(2).to(FAR)
    monkeypatch.setattr(_exchange, "HostBackend", Other)
    with pytest.raises(TypeError, match=r"NumPy was given a tensor on backend 'far': bring it over with .to\('cpu'\)"):
        np.asarray(x)
    assert x.numpy().tolist() == [1.0, 1.0]


# --- other libraries


def test_other_libraries_share_our_memory():
    x = tensor([[1.0, 2.0], [3.0, 4.0]])
    array = np.from_dlpack(x.T)
    assert array.tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert np.shares_memory(array, x.numpy())
    assert x.__dlpack_device__() == (1, 0)
    assert not hasattr(x, "__cuda_array_interface__")
    with pytest.raises(BufferError, match=r"__dlpack__ of a tensor that requires a gradient: call .detach\(\) first"):
        x.requires_grad_().__dlpack__()


def test_we_share_memory_of_other_libraries():
    array = np.arange(6.0).reshape(2, 3)
    x = from_dlpack(array.T)
    assert x.tolist() == array.T.tolist()
    assert np.shares_memory(x.numpy(), array)
    assert from_dlpack(array, requires_grad=True).requires_grad
    with pytest.raises(TypeError, match="dtype int32: expected float32, float64, int64 or bool"):
        from_dlpack(array.astype("int32"))
    with pytest.raises(TypeError, match="from_dlpack of list: expected an array that has __dlpack__"):
        from_dlpack([1.0])


def test_casts():
    x = tensor([1.5, -2.5, 0.0])
    assert x.astype("float32") is x
    assert x.astype(np.float64).dtype == np.float64
    assert x.astype(int).tolist() == [1, -2, 0]
    assert x.astype(bool).tolist() == [True, True, False]
    assert tensor([True]).astype("float32").tolist() == [1.0]
    assert tensor([1e300], dtype="float64").astype("float32").tolist() == [np.inf]
    assert tensor([np.nan]).astype("int64").shape == (1,)
    with pytest.raises(TypeError, match="dtype float16: expected float32, float64, int64 or bool"):
        x.astype("float16")


def test_no_warning_even_if_numpy_warns():
    x = tensor([0.0, -1.0, 3e38])
    for out in (
        1 / x,
        x.log(),
        x * x,
        x.exp(),
        x / 0,
        (x * 1e30).cumsum(0),
        x.reshape(3, 1) @ x.reshape(1, 3),
        x < 1e300,
    ):
        assert out.size in (3, 9)


def test_reading_with_a_subclass_makes_plain_tensors():
    class Named(Tensor):
        __slots__ = ()

    x = Named(from_numpy(np.ones(2)).data, zeros(1).backend)
    assert type(x * 2) is Tensor
