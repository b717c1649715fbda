"""Arrays on the device: views equal NumPy's, and nothing is copied unless the code says so."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

from stackgrad import tensor as sg
from stackgrad.kernels.cuda._backend import CudaBackend
from stackgrad.tensor.testing import Limits, draws, uniform


def byte_strides(a):
    return tuple(step * a.dtype.itemsize for step in a.strides)


def has_strides_of(a, array):
    """Whether the strides equal NumPy's, where they matter."""
    return [s for s, n in zip(byte_strides(a), a.shape, strict=True) if n > 1] == [
        s for s, n in zip(array.strides, array.shape, strict=True) if n > 1
    ]


@settings(max_examples=200)
@given(draws(Limits(extent=4, size=200)))
def test_views_have_the_strides_of_numpy(draw):
    sample = draw.sample(draw.shape(), uniform(np.dtype("float32")))
    backend, array = sg.get_backend("cuda"), sample.numpy()
    a = sample.on(backend)
    assert a.shape == array.shape
    assert (a.ndim, a.size) == (array.ndim, array.size)
    if array.size:
        assert has_strides_of(a, array)
        assert a.is_contiguous == array.flags.c_contiguous


def test_tensors_move_by_name_and_come_back():
    x = sg.tensor([[1.0, 2.0], [3.0, 4.0]], backend="numpy", requires_grad=True)
    y = x.to("cuda")
    assert repr(y.backend) == "<cuda backend>"
    assert isinstance(y.backend, CudaBackend)
    (y.T * y).sum().backward()
    assert x.grad.backend.name == "numpy"
    assert x.grad.tolist() == [[2.0, 6.0], [4.0, 8.0]]
    assert y.detach().to("cpu").tolist() == x.tolist()


def test_a_change_on_the_device_does_not_change_the_original():
    x = sg.ones(2, backend="numpy", requires_grad=True)
    square = x * x
    y = x.detach().to("cuda")
    y.add_(1)
    square.sum().backward()
    assert (x.tolist(), y.tolist()) == ([1.0, 1.0], [2.0, 2.0])


def test_backends_do_not_mix():
    with pytest.raises(ValueError, match=r"'cuda' and 'cpu' do not mix: bring one over with .to\('cuda'\)"):
        sg.ones(2, backend="cuda") + sg.ones(2, backend="cpu")


def test_numpy_does_not_copy_implicitly():
    x = sg.ones(2, backend="cuda")
    with pytest.raises(TypeError, match=r"NumPy was given a tensor on backend 'cuda': bring it over with .to\('cpu'\)"):
        np.asarray(x)
    assert x.numpy().tolist() == [1.0, 1.0]


def test_new_arrays_own_their_memory():
    x = sg.zeros(3, 4, backend="cuda")
    assert x.owns_memory
    assert not x[1:].owns_memory
    assert not x.T.owns_memory
    assert x.T.contiguous().owns_memory


def test_new_arrays_have_the_given_values():
    assert sg.full((2, 2), 1e39, backend="cuda").tolist() == [[math.inf] * 2] * 2
    assert sg.full((), True, backend="cuda").item() is True
    assert sg.arange(4, backend="cuda").tolist() == [0, 1, 2, 3]
    assert sg.zeros(0, 3, backend="cuda").tolist() == []
