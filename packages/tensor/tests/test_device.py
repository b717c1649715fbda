"""Devices, which are backends, under PyTorch's names."""

import pytest

import stackgrad.tensor as sg
from stackgrad.tensor import tensor


def test_a_device_is_the_name_of_a_backend():
    device = sg.device("numpy:0")
    assert device == "numpy"
    assert device.type == "numpy"
    x = sg.zeros(2, device=device)
    assert x.device == device
    assert x.device.type == "numpy"
    assert x.to(x.device) is x
    assert x.backend is sg.get_backend("numpy") is sg.get_backend(x.device)
    assert sg.device(x.device) == "numpy"


@pytest.mark.parametrize(
    "make",
    [
        lambda **on: sg.tensor([1.0], **on),
        lambda **on: sg.zeros(1, **on),
        lambda **on: sg.ones(1, **on),
        lambda **on: sg.full((1,), 2.0, **on),
        lambda **on: sg.arange(1, **on),
        lambda **on: sg.rand(1, **on),
        lambda **on: sg.randn(1, **on),
        lambda **on: sg.bernoulli(0.5, 1, **on),
        lambda **on: sg.eye(1, **on),
        lambda **on: sg.linspace(0, 1, 2, **on),
        lambda **on: sg.logspace(0, 1, 2, **on),
        lambda **on: sg.tril_indices(1, 1, **on),
        lambda **on: sg.triu_indices(1, 1, **on),
        lambda **on: sg.empty(1, **on),
        lambda **on: sg.randint(3, (1,), **on),
        lambda **on: sg.randperm(3, **on),
        lambda **on: sg.normal(0.0, 1.0, (1,), **on),
        lambda **on: sg.as_tensor([1.0], **on),
    ],
)
def test_device_means_backend(make):
    class Own(sg.NumpyBackend):
        name = "own"

    own = Own()
    assert make(device=own).backend is make(backend=own).backend is own
    with pytest.raises(TypeError, match="both backend 'numpy' and device 'own': they mean the same; pass one"):
        make(backend="numpy", device="own")
    with pytest.raises(ValueError, match="backend 'nowhere' is not installed"):
        make(device="nowhere:1")


def test_to_takes_several():
    x = tensor([1.5], requires_grad=True)
    assert x.to("numpy", sg.float64).dtype == "float64"
    assert x.to(device="numpy", dtype=sg.int64, non_blocking=True).tolist() == [1]
    assert x.to(tensor([1])).dtype == "int64"
    assert x.to(dtype="float32") is x


def test_pytorchs_names_of_arguments():
    for make in (sg.zeros, sg.ones, sg.rand, sg.randn, sg.empty):
        assert make(size=(2, 3)).shape == (2, 3)
        with pytest.raises(TypeError, match=r"both a shape, \(2,\), and size=\(2, 3\): they mean the same; pass one"):
            make(2, size=(2, 3))
    assert sg.full(size=(2,), fill_value=3.0).tolist() == [3.0, 3.0]
    assert sg.arange(start=1, end=4, step=2).tolist() == [1, 3]


def test_cuda():
    assert sg.cuda.is_available() is bool(sg.cuda.device_count())
    sg.cuda.manual_seed_all(3)
    first = sg.rand(2).tolist()
    sg.cuda.manual_seed(3)
    assert sg.rand(2).tolist() == first
