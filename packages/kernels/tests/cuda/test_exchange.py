"""Memory lent and borrowed. Simulated arrays are lent as host arrays, with the same content of capsules as on a GPU,
where `nox -s gpu` lets PyTorch and CuPy take them."""

import gc
import subprocess
import sys

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cuda import _exchange, _memory
from stackgrad.kernels.cuda._driver import SIMULATED, device
from stackgrad.kernels.cuda._memory import pool

simulated = pytest.mark.skipif(not SIMULATED, reason="NumPy takes and lends only host memory")


@simulated
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_numpy_takes_an_array(dtype):
    x = sg.tensor(np.arange(12).reshape(3, 4).astype(dtype), backend="cuda")
    array = np.from_dlpack(x.T[1:, ::-2])
    assert array.dtype == dtype
    assert array.tolist() == x.T[1:, ::-2].tolist()
    x[...] = sg.zeros(3, 4, backend="cuda").astype(dtype)
    assert not array.any()


@simulated
def test_lent_memory_is_kept_until_it_is_returned():
    x = sg.tensor([1.0, 2.0], backend="cuda")
    array = np.from_dlpack(x)
    del x
    gc.collect()
    sg.full((2,), 7.0, backend="cuda")
    assert array.tolist() == [1.0, 2.0]
    assert len(_exchange._lent) == 1
    del array
    assert not _exchange._lent


@pytest.mark.parametrize(
    ("stream", "waited"), [(None, [("wait_for", 1)]), (1, [("wait_for", 1)]), (-1, []), (77, [("synchronize_all",)])]
)
def test_memory_is_reused_only_after_its_consumer_is_done(monkeypatch, stream, waited):
    calls = []

    def noted(name):
        def call(*arguments):
            assert pool.used == lent
            calls.append((name, *arguments))

        monkeypatch.setattr(device(), name, call)

    x = sg.full((3,), 1.0, backend="cuda")
    capsule = x.__dlpack__(stream=stream)
    pool.give_back(pool.take(512))
    lent = pool.used
    del x
    noted("wait_for")
    noted("synchronize_all")
    del capsule
    assert calls == waited
    assert pool.used < lent


def test_memory_is_returned_even_if_waiting_fails(monkeypatch):
    def fail(stream):
        raise RuntimeError("the driver is gone")

    capsule = sg.ones(2, backend="cuda").__dlpack__()
    monkeypatch.setattr(device(), "wait_for", fail)
    del capsule
    assert not _exchange._lent


def test_a_capsule_that_nobody_took():
    capsule = sg.ones(2, backend="cuda").__dlpack__()
    assert len(_exchange._lent) == 1
    del capsule
    assert not _exchange._lent


def test_the_content_of_a_capsule():
    x = sg.ones(2, 3, backend="cuda").T
    capsule = x.__dlpack__()
    tensor = _exchange._Managed.from_address(_exchange._content(capsule, b"dltensor")).tensor
    assert tensor.data == _exchange.address_of(x.data)
    assert (tensor.device_type, tensor.device_id) == x.__dlpack_device__() == (1 if SIMULATED else 2, device().ordinal)
    assert (tensor.code, tensor.bits, tensor.lanes, tensor.byte_offset) == (2, 32, 1, 0)
    assert tensor.shape[: tensor.ndim] == [3, 2]
    assert tensor.strides[: tensor.ndim] == [1, 3]


@simulated
def test_an_array_of_numpy_is_borrowed():
    array = np.arange(12.0).reshape(3, 4)[::-1, ::2]
    x = sg.from_dlpack(array, backend="cuda")
    assert x.tolist() == array.tolist()
    x[0, 0] = 99.0
    assert array[0, 0] == 99
    assert not x.owns_memory
    assert (x * 2).sum(0).tolist() == (array * 2).sum(0).tolist()


@simulated
def test_borrowed_memory_lives_as_long_as_its_views():
    view = sg.from_dlpack(np.arange(1000.0), backend="cuda")[990:]
    gc.collect()
    assert view.tolist() == list(range(990, 1000))


class Owner:
    """An owner of memory that records its end."""

    def __init__(self, calls):
        self.calls = calls

    def __del__(self):
        self.calls.append("dropped")


@pytest.mark.parametrize("fails", [False, True])
def test_borrowed_memory_is_returned_when_nothing_reads_it(monkeypatch, fails):
    calls = []

    def synchronize():
        calls.append("synchronised")
        if fails:
            raise RuntimeError("the driver is gone")

    monkeypatch.setattr(device(), "synchronize", synchronize)
    foreign = _memory.Foreign(None, Owner(calls), True)
    del foreign
    assert calls == ["synchronised", "dropped"]


AT_THE_END = """
import numpy as np
from stackgrad import tensor as sg
borrowed = sg.from_dlpack(np.arange(5.0), backend="cuda")
lent = np.from_dlpack(sg.ones(2, backend="cuda"))
capsule = sg.ones(3, backend="cuda").__dlpack__()
keep = [borrowed]; keep.append(keep)
"""


@simulated
def test_the_end_of_the_interpreter_is_silent():
    done = subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class Interface:
    """An array that has only the CUDA array interface."""

    def __init__(self, array, **changes):
        self.array = array
        described = dict(array.__array_interface__)
        del described["descr"]
        self.__cuda_array_interface__ = {**described, "stream": None, **changes}


@simulated
def test_the_cuda_array_interface_is_borrowed():
    array = np.arange(6, dtype=np.int64).reshape(2, 3).T
    x = sg.from_dlpack(Interface(array), backend="cuda")
    assert x.tolist() == array.tolist()
    with pytest.raises(TypeError, match="from_dlpack of elements of int32: expected float32, float64, int64 or bool"):
        sg.from_dlpack(Interface(array.astype(np.int32)), backend="cuda")
    with pytest.raises(ValueError, match=r"strides \(4, 8\) in bytes: expected multiples of 8"):
        sg.from_dlpack(Interface(array, strides=(4, 8)), backend="cuda")


def test_the_cuda_array_interface_is_offered(monkeypatch):
    synchronised = []
    monkeypatch.setattr(device(), "synchronize", lambda: synchronised.append(True))
    x = sg.ones(2, 3, backend="cuda").T
    described = x.__cuda_array_interface__
    assert described["shape"] == (3, 2)
    assert described["strides"] == (4, 12)
    assert described["typestr"] == "<f4"
    assert described["data"] == (_exchange.address_of(x.data), False)
    assert described["version"] == 3
    assert described["stream"] is None
    assert synchronised
    assert sg.ones(0, backend="cuda").__cuda_array_interface__["data"] == (0, False)


@simulated
def test_read_only_memory_stays_read_only():
    array = np.arange(6, dtype=np.float32)
    array.flags.writeable = False
    x = sg.from_dlpack(Interface(array), backend="cuda")
    for view in (x, x[::2], x.reshape(2, 3).T):
        for write in (lambda v: v.mul_(0), lambda v: v.__setitem__(v == v, 0), lambda v: v.__setitem__([0], 0)):
            with pytest.raises(ValueError, match=r"in read-only memory: clone\(\) it first"):
                write(view)
        with pytest.raises(BufferError, match=r"in read-only memory: clone\(\) it first"):
            view.__dlpack__()
        assert view.__cuda_array_interface__["data"][1]
    assert array.tolist() == [0, 1, 2, 3, 4, 5]
    assert x.clone().mul_(0).tolist() == [0] * 6


def test_requests_that_cannot_be_met():
    x = sg.ones(2, backend="cuda")
    with pytest.raises(BufferError, match="is lent without a copy: copy it"):
        x.__dlpack__(copy=True)
    with pytest.raises(BufferError, match="is lent without a copy: copy it"):
        x.__dlpack__(dl_device=(10, 3))
    with pytest.raises(BufferError, match=r"call .detach\(\) first"):
        x.requires_grad_().__dlpack__()
    with pytest.raises(TypeError, match="from_dlpack of list: expected an array that has __dlpack__"):
        sg.from_dlpack([1.0], backend="cuda")


class Elsewhere:
    def __dlpack__(self, stream=None):
        raise AssertionError("asked for the memory of another device")

    def __dlpack_device__(self):
        return 2, 5


def test_an_array_on_another_device():
    with pytest.raises(ValueError, match=r"DLPack device \(2, 5\) for .*copy it to that device first"):
        sg.from_dlpack(Elsewhere(), backend="cuda")


@simulated
def test_an_array_of_another_dtype():
    with pytest.raises(TypeError, match="code 0, 32 bits and 1 lanes: expected float32"):
        sg.from_dlpack(np.ones(2, np.int32), backend="cuda")
