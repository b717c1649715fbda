"""Calls of NVIDIA's packages for a launch, with fakes in their place; messages about a driver that fails."""

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from stackgrad.kernels import _cache_files
from stackgrad.kernels.cuda import _driver
from stackgrad.kernels.cuda._copy import _fill
from stackgrad.kernels.cuda._installed import INSTALL_DRIVER


class Core:
    """A fake of the parts of cuda.core that are used; it records calls."""

    def __init__(self):
        self.launched, self.loaded, self.current_in = [], [], []
        self.ObjectCode = SimpleNamespace(from_ptx=self.from_ptx)

    def Device(self):
        return SimpleNamespace(
            name="a fake",
            device_id=3,
            compute_capability=(9, 0),
            properties=SimpleNamespace(multiprocessor_count=132),
            memory_resource=SimpleNamespace(allocate=self.allocate),
            set_current=lambda: self.current_in.append(threading.get_ident()),
            sync=lambda: None,
            create_stream=lambda: SimpleNamespace(handle=77, sync=lambda: None),
            create_graph_builder=lambda: Builder(self),
        )

    def allocate(self, size, stream):
        if size > 1000:
            raise RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: no room")
        return SimpleNamespace(handle=0x1000, size=size)

    def from_ptx(self, ptx):
        self.loaded.append(ptx)
        return SimpleNamespace(get_kernel=lambda name: name)

    def LaunchConfig(self, grid, block):
        return grid, block

    def launch(self, stream, config, kernel, *arguments):
        self.launched.append((stream.handle, config, kernel, arguments))


class Builder:
    """A graph builder, which is also the graph it builds."""

    handle = "builder"

    def __init__(self, core):
        self.core, self.calls = core, []

    def begin_building(self):
        self.before = len(self.core.launched)

    def end_building(self):
        self.calls = self.core.launched[self.before :]
        return self

    def complete(self):
        return self

    def upload(self, stream):
        assert stream.handle == 77

    def launch(self, stream):
        self.core.launched.append((stream.handle, "graph", self.calls))


@pytest.fixture
def core(monkeypatch, tmp_path):
    core = Core()
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: tmp_path)
    monkeypatch.setitem(sys.modules, "cuda.core", core)
    monkeypatch.setattr(sys.modules["cuda"], "core", core, raising=False)
    return core


def test_a_launch(core):
    gpu, dtype = _driver._Gpu(), np.dtype("float32")
    assert (gpu.name, gpu.ordinal, gpu.stream_handle, gpu.blocks) == ("a fake", 3, 77, 8 * 132)
    loaded = gpu.load(_fill.source(dtype), _fill.signature(dtype), _fill.threads, True)
    (ptx,) = core.loaded
    assert f".visible .entry {loaded}(".encode() in ptx
    out = gpu.pointer(gpu.allocate(64), 8, dtype)
    gpu.launch(loaded, (2, 1, 1), (256, 1, 1), [out, (1, (2, 3)), 7, dtype.type(0.5)])
    assert core.launched == [(77, ((2, 1, 1), (256, 1, 1)), loaded, (0x1008, 1, 2, 3, 7, np.float32(0.5)))]


def test_kernels_of_users_leave_no_files(core, tmp_path):
    made_of = _fill.source(np.dtype("float32")), _fill.signature(np.dtype("float32")), _fill.threads
    assert _driver._Gpu().load(*made_of, keep=False)
    assert len(core.loaded) == 1
    assert not list(tmp_path.iterdir())


def test_launches_as_a_graph(core):
    gpu = _driver._Gpu()
    calls = [("kernel", (n, 1, 1), (256, 1, 1), [0x1000, (n, 2), 7]) for n in (1, 2)]
    replay = gpu.graph(calls)
    captured = [("builder", ((n, 1, 1), (256, 1, 1)), "kernel", (0x1000, n, 2, 7)) for n in (1, 2)]
    assert core.launched == captured
    replay()
    assert core.launched[2:] == [(77, "graph", captured)]


def test_a_single_launch_needs_no_graph(core):
    replay = _driver._Gpu().graph([("kernel", (1, 1, 1), (256, 1, 1), [0x1000])])
    assert core.launched == []
    replay()
    assert core.launched == [(77, ((1, 1, 1), (256, 1, 1)), "kernel", (0x1000,))]


WORKS = {
    "load": lambda gpu: gpu.load(_fill.source(np.dtype("int64")), _fill.signature(np.dtype("int64")), 256, True),
    "upload": lambda gpu: gpu.upload(gpu.allocate(64), 0, np.ones(8)),
    "graph": lambda gpu: gpu.graph([("kernel", (1, 1, 1), (256, 1, 1), [0x1000])] * 2),
    "synchronize_all": lambda gpu: gpu.synchronize_all(),
}


@pytest.mark.parametrize("work", WORKS)
def test_the_device_is_current_in_each_thread(core, work):
    gpu = _driver._Gpu()
    host = np.zeros(_driver.STAGED, np.uint8)

    def of_driver(result):
        def call(*arguments):
            assert threading.get_ident() in core.current_in
            return 0, result

        return call

    gpu._driver = SimpleNamespace(cuMemHostAlloc=of_driver(host.ctypes.data), cuMemcpyHtoDAsync=of_driver(None))
    thread = threading.Thread(target=WORKS[work], args=(gpu,))
    core.current_in.clear()
    thread.start()
    thread.join()
    assert core.current_in == [thread.ident]


def test_host_memory_is_freed_with_its_last_array(core):
    host, freed, copied = np.zeros(64, np.uint8), [], []
    gpu = _driver._Gpu()
    gpu._driver = SimpleNamespace(
        cuMemHostAlloc=lambda size, flags: (0, host.ctypes.data),
        cuMemFreeHost=lambda address: freed.append(address) or (0,),
        cuMemcpyHtoDAsync=lambda *arguments: copied.append(arguments) or (0,),
    )
    memory = gpu.host_memory(64)
    values = memory.view(np.float32).reshape(4, 4)[1:]
    del memory
    values[:] = 1.5
    assert host.view(np.float32)[4:].tolist() == [1.5] * 12
    gpu.fetch(gpu.allocate(64), 8, values)
    assert copied == [(0x1008, host.ctypes.data + 16, 48, 77)]  # in the device's stream, and without waiting
    assert freed == []
    del values
    assert freed == [host.ctypes.data]


def test_no_room(core):
    with pytest.raises(MemoryError, match="no room for 5000 bytes on a fake"):
        _driver._Gpu().allocate(5000)


def test_concurrent_threads_get_the_same_device(monkeypatch):
    asked, answers = threading.Barrier(4), []

    def make():
        with pytest.raises(threading.BrokenBarrierError):  # no other thread gets here
            asked.wait(0.2)
        return object()

    monkeypatch.setattr(_driver, "_device", None)
    monkeypatch.setattr(_driver, "_Gpu", make)
    threads = [threading.Thread(target=lambda: answers.append(_driver.device())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len(set(answers)) == 1


def test_borrowed_memory_must_be_on_the_device(core):
    gpu, device_of = _driver._Gpu(), {0x1000: 3, 0x2000: 0}
    core.Buffer = SimpleNamespace(from_handle=lambda address, size: (address, size))
    gpu._driver = SimpleNamespace(
        CUpointer_attribute=SimpleNamespace(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL=9),
        cuPointerGetAttribute=lambda attribute, address: (0, device_of[address]) if attribute == 9 else (1,),
    )
    assert gpu.borrow(0x1000, 8) == (0x1000, 8)
    assert gpu.borrow(0, 0) == (0, 0)
    with pytest.raises(ValueError, match="memory of GPU 0 for a fake, which is GPU 3: copy it to that GPU first"):
        gpu.borrow(0x2000, 8)


@pytest.mark.parametrize(
    ("status", "devices", "cuda", "text"),
    [
        (100, 0, 0, "NVIDIA's driver does not start (CUDA_ERROR): is there a GPU, and may this process use it?"),
        (0, 0, 13000, "NVIDIA's driver finds no GPU: see `nvidia-smi` and CUDA_VISIBLE_DEVICES"),
        (0, 1, 12080, f"NVIDIA's driver is for CUDA 12.8, and kernels are compiled for 12.9: {INSTALL_DRIVER}"),
        (0, 1, 12090, ""),
        (0, 1, 13000, ""),
    ],
)
def test_what_is_missing(monkeypatch, status, devices, cuda, text):
    class Status(int):
        name = "CUDA_ERROR"

    from cuda.bindings import driver

    monkeypatch.setattr(driver, "cuInit", lambda flags: (Status(status),))
    monkeypatch.setattr(driver, "cuDeviceGetCount", lambda: (Status(0), devices))
    monkeypatch.setattr(driver, "cuDriverGetVersion", lambda: (Status(0), cuda))
    monkeypatch.setattr(_driver, "version_of", {"nvidia-cuda-nvcc-cu12": "12.9.86"}.get)
    assert _driver.what_is_missing() == text


@pytest.mark.parametrize(
    ("installed", "cuda"),
    [
        ({"nvidia-nvvm": "13.0.88", "cuda-bindings": "13.5.0"}, 13000),
        ({"nvidia-cuda-nvcc-cu12": "12.4.131", "cuda-bindings": "12.9.2"}, 12040),
        ({"cuda-bindings": "13.5.0"}, 13000),
        ({"cuda-bindings": "12.9.2"}, 12000),
    ],
)
def test_the_version_that_kernels_are_compiled_for(monkeypatch, installed, cuda):
    monkeypatch.setattr(_driver, "version_of", installed.get)
    assert _driver._compiled_for() == cuda
