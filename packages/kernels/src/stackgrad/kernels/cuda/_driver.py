"""All uses of numba-cuda and of NVIDIA's packages: the only file to change for another toolkit.

    kernel's source --numba.cuda.compile--> PTX --cuda.core.ObjectCode--> machine code --cuda.core.launch--> stream

`device()` is the GPU. With NUMBA_ENABLE_CUDASIM=1 it is Numba's simulator, which runs the threads of a block as Python
threads on the host's memory. Both have the same few methods; memory is a `Memory`, and all work is done in the order of
one stream.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache, partial
from typing import Any, Protocol

import numpy as np
from numba import cuda as _numba_cuda
from numba.cuda import types as types
from numpy.typing import NDArray

from ._disk_cache import ptx_of
from ._installed import COMPILERS, INSTALL_DRIVER, version_of
from ._installed import SIMULATED as SIMULATED
from ._simulated import Anywhere, Pointer
from ._staging import SIZE as STAGED
from ._staging import PinnedMemory, Staging

Grid = tuple[int, int, int]
Call = tuple[Any, Grid, Grid, Sequence[Any]]
"""The arguments of `Device.launch`."""


class Memory(Protocol):
    """A block of the device's memory, freed when nothing refers to it."""

    @property
    def size(self) -> int:
        """Bytes."""


class Device(Protocol):
    """The operations that the backend needs of a device."""

    name: str
    ordinal: int
    """Its index among the devices of this machine."""
    is_host: bool
    """Whether its memory is that of the host."""
    stream_handle: int | None
    """Its stream, as a handle for other libraries."""
    blocks: int
    """The number of blocks that keep it busy, for kernels that walk over their elements in strides of the grid."""

    def allocate(self, size: int) -> Memory:
        """`size` uninitialised bytes. Raises MemoryError if there is no room."""

    def address(self, memory: Memory) -> int:
        """Its address on the device."""

    def borrow(self, address: int, size: int) -> Memory:
        """Wrap memory that belongs to another library."""

    def upload(self, memory: Memory, start: int, values: NDArray[Any]) -> None:
        """Write `values`, in C order, from byte `start` on. The caller may change them afterwards."""

    def download(self, memory: Memory, start: int, out: NDArray[Any]) -> None:
        """Fill `out`, in C order, from byte `start` on, after all earlier launches."""

    def host_memory(self, size: int) -> NDArray[np.uint8]:
        """Page-locked bytes of the host: `download` copies to them directly."""

    def fetch(self, memory: Memory, start: int, values: NDArray[Any]) -> None:
        """Like `upload`, for values in `host_memory`, which must not change before the work launched is done."""

    def pointer(self, memory: Memory, start: int, dtype: np.dtype[Any]) -> Any:
        """The argument that gives a kernel the elements from byte `start` on."""

    def anywhere(self, dtype: np.dtype[Any]) -> Any:
        """The argument that gives a kernel all memory, in elements of `dtype` from address 0 on."""

    def load(self, body: Callable[..., None], signature: tuple[Any, ...], threads: int, keep: bool) -> Any:
        """The kernel `body`, compiled for these Numba types and at most `threads` threads in a block.

        `keep` stores it on disk.
        """

    def launch(self, loaded: Any, grid: Grid, block: Grid, arguments: Sequence[Any]) -> None:
        """Run a kernel with these numbers of blocks and threads in x, y, z; arguments may be nested tuples."""

    def graph(self, calls: Sequence[Call]) -> Callable[[], None]:
        """A function that repeats all these launches by one."""

    def synchronize(self) -> None:
        """Wait for all launches."""

    def synchronize_all(self) -> None:
        """Wait for all work that any library launched on this device."""

    def wait_for(self, stream_handle: int) -> None:
        """Let later work wait for the present work of another library's stream."""


def compile_to_ptx(
    body: Callable[..., None], signature: tuple[Any, ...], compute_capability: tuple[int, int], threads: int
) -> str:
    """The kernel as PTX. Needs no GPU and no driver."""
    ptx, _ = _numba_cuda.compile(
        body, signature, device=False, abi="numba", cc=compute_capability, launch_bounds=threads
    )
    return str(ptx)


def inlined(fn: Callable[..., Any]) -> Any:
    """Make `fn` a function that kernels call: it is inlined into them and not compiled on its own."""
    return fn if SIMULATED else _numba_cuda.jit(fn, device=True, inline="always")


class _InThisThread(threading.local):
    """The stream; the first access in each thread makes the device current there."""

    def __init__(self, device: Any, stream: Any) -> None:
        device.set_current()
        self.stream = stream


class _Gpu:
    """A GPU, through cuda.core (https://nvidia.github.io/cuda-python/cuda-core) and the driver's copies."""

    is_host = False

    def __init__(self) -> None:
        from cuda import core
        from cuda.bindings import driver

        self._core, self._driver = core, driver
        device = core.Device()
        device.set_current()
        self._device = device
        self._here = _InThisThread(device, device.create_stream())
        self._staging = cache(lambda: Staging(self._pinned(STAGED), self._fetch, self.synchronize))
        self.stream_handle: int | None = int(self._here.stream.handle)
        self.ordinal = int(device.device_id)
        self._memory = device.memory_resource
        self.name = str(device.name)
        self.compute_capability = tuple(device.compute_capability)
        self.blocks = 8 * int(device.properties.multiprocessor_count)
        self._config = lru_cache(4096)(lambda grid, block: core.LaunchConfig(grid=grid, block=block))

    def _make_current(self) -> None:
        """Make the device current in this thread, for calls that use no stream."""
        _ = self._here.stream

    def allocate(self, size: int) -> Any:
        try:
            return self._memory.allocate(size, stream=self._here.stream)
        except Exception as error:  # cuda.core has no public class for its errors
            if "OUT_OF_MEMORY" not in str(error):
                raise
            raise MemoryError(f"no room for {size} bytes on {self.name}") from None

    def address(self, memory: Any) -> int:
        return int(memory.handle)

    def borrow(self, address: int, size: int) -> Any:
        if size:
            self._make_current()
            wanted = self._driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
            found = int(self._check(self._driver.cuPointerGetAttribute(wanted, address)))
            if found != self.ordinal:
                raise ValueError(
                    f"from_dlpack of memory of GPU {found} for {self.name}, which is GPU {self.ordinal}: "
                    "copy it to that GPU first"
                )
        return self._core.Buffer.from_handle(address, size)

    def upload(self, memory: Any, start: int, values: NDArray[Any]) -> None:
        self._make_current()
        self._staging().upload(values, self.address(memory) + start)

    def _fetch(self, source: int, target: int, size: int) -> None:
        self._check(self._driver.cuMemcpyHtoDAsync(target, source, size, self._here.stream.handle))

    def download(self, memory: Any, start: int, out: NDArray[Any]) -> None:
        at = self.address(memory) + start
        self._check(self._driver.cuMemcpyDtoHAsync(out.ctypes.data, at, out.nbytes, self._here.stream.handle))
        self._here.stream.sync()

    def pointer(self, memory: Any, start: int, dtype: np.dtype[Any]) -> int:
        return self.address(memory) + start

    def anywhere(self, dtype: np.dtype[Any]) -> int:
        return 0

    def load(self, body: Callable[..., None], signature: tuple[Any, ...], threads: int, keep: bool) -> Any:
        self._make_current()
        made_of = body, signature, self.compute_capability, threads
        ptx = ptx_of(compile_to_ptx, *made_of) if keep else compile_to_ptx(*made_of)
        return self._core.ObjectCode.from_ptx(ptx.encode()).get_kernel(entry_name(ptx))

    def launch(self, loaded: Any, grid: Grid, block: Grid, arguments: Sequence[Any]) -> None:
        self._launch_on(self._here.stream, loaded, grid, block, arguments)

    def _launch_on(self, stream: Any, loaded: Any, grid: Grid, block: Grid, arguments: Sequence[Any]) -> None:
        self._core.launch(stream, self._config(grid, block), loaded, *_flat(arguments))

    def graph(self, calls: Sequence[Call]) -> Callable[[], None]:
        if len(calls) == 1:
            return partial(self.launch, *calls[0])
        self._make_current()
        builder = self._device.create_graph_builder()
        builder.begin_building()
        for call in calls:
            self._launch_on(builder, *call)
        graph = builder.end_building().complete()
        graph.upload(self._here.stream)
        return lambda: graph.launch(self._here.stream)

    def synchronize(self) -> None:
        self._here.stream.sync()

    def synchronize_all(self) -> None:
        self._make_current()
        self._device.sync()

    def wait_for(self, stream_handle: int) -> None:
        self._here.stream.wait(self._core.Stream.from_handle(stream_handle))

    def host_memory(self, size: int) -> NDArray[np.uint8]:
        self._make_current()
        return np.asarray(PinnedMemory(self._pinned(size), size, self._free))

    def fetch(self, memory: Any, start: int, values: NDArray[Any]) -> None:
        self._fetch(values.ctypes.data, self.address(memory) + start, values.nbytes)

    def _pinned(self, size: int) -> int:
        """Page-locked memory of the host, which the device may read."""
        return int(self._check(self._driver.cuMemHostAlloc(size, 0)))

    def _free(self, address: int) -> None:
        self.synchronize_all()  # the device may still read it
        self._check(self._driver.cuMemFreeHost(address))

    def _check(self, result: tuple[Any, ...]) -> Any:
        status, *values = result
        if int(status):
            raise RuntimeError(f"memory of {self.name}: {status!r}")
        return values[0] if values else None


def _flat(arguments: Iterable[Any]) -> Iterator[Any]:
    """The arguments with nested tuples flattened, as Numba compiles them."""
    for argument in arguments:
        if isinstance(argument, tuple):
            yield from _flat(argument)
        else:
            yield argument


def entry_name(ptx: str) -> str:
    """The name of the one kernel in `ptx`."""
    found = re.search(r"\.visible \.entry (\w+)\(", ptx)
    if not found:
        raise ValueError("PTX without a kernel")
    return found[1]


class _Simulator:
    """Numba's simulator. New memory reads as NaN, -1 or true, because kernels must not rely on its values."""

    name = "Numba's simulator"
    ordinal = 0
    is_host = True
    stream_handle: int | None = None
    blocks = 2

    def allocate(self, size: int) -> NDArray[np.uint8]:
        return np.full(size, 0xFF, np.uint8)

    def address(self, memory: Any) -> int:
        return int(memory.ctypes.data)

    def borrow(self, address: int, size: int) -> NDArray[np.uint8]:
        if not size:
            return np.empty(0, np.uint8)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def upload(self, memory: Any, start: int, values: NDArray[Any]) -> None:
        memory[start : start + values.nbytes] = values.reshape(-1).view(np.uint8)

    def download(self, memory: Any, start: int, out: NDArray[Any]) -> None:
        out.reshape(-1).view(np.uint8)[:] = memory[start : start + out.nbytes]

    def host_memory(self, size: int) -> NDArray[np.uint8]:
        return np.empty(size, np.uint8)

    fetch = upload

    def pointer(self, memory: Any, start: int, dtype: np.dtype[Any]) -> Pointer:
        stored = np.dtype("uint8") if dtype == np.dtype("bool") else dtype
        whole = memory.size // dtype.itemsize * dtype.itemsize
        return Pointer(memory[:whole].view(stored), start // dtype.itemsize)

    def anywhere(self, dtype: np.dtype[Any]) -> Anywhere:
        return Anywhere(dtype)

    def load(self, body: Callable[..., None], signature: tuple[Any, ...], threads: int, keep: bool) -> Any:
        def thread(*arguments: Any) -> None:
            with np.errstate(all="ignore"):  # NumPy's scalars warn, those of a GPU do not
                body(*arguments)

        return _numba_cuda.jit(thread)

    def launch(self, loaded: Any, grid: Grid, block: Grid, arguments: Sequence[Any]) -> None:
        loaded[grid, block](*arguments)

    def graph(self, calls: Sequence[Call]) -> Callable[[], None]:
        def again() -> None:
            for call in calls:
                self.launch(*call)

        return again

    def synchronize(self) -> None:
        pass

    def synchronize_all(self) -> None:
        pass

    def wait_for(self, stream_handle: int) -> None:
        pass


class _SimulatedCuda:
    """`cuda` inside simulated kernels. Numba patches its own object into the kernel's file only, and removes it while
    other threads of the block still need it; this class finds it from any file."""

    def __getattr__(self, name: str) -> Any:
        from numba.cuda.simulator.kernel import _get_kernel_context

        return getattr(_get_kernel_context(), name)


cuda: Any = _SimulatedCuda() if SIMULATED else _numba_cuda


def what_is_missing() -> str:
    """What keeps a GPU from working, worded to follow "but"; empty if nothing does."""
    if SIMULATED:
        return ""
    from cuda.bindings import driver

    try:
        status, *_ = driver.cuInit(0)
    except Exception:  # NVIDIA's packages have their own errors
        return f"no NVIDIA driver: {INSTALL_DRIVER}"
    if int(status):
        return f"NVIDIA's driver does not start ({status.name}): is there a GPU, and may this process use it?"
    status, count = driver.cuDeviceGetCount()
    if int(status) or not count:
        return "NVIDIA's driver finds no GPU: see `nvidia-smi` and CUDA_VISIBLE_DEVICES"
    _, known = driver.cuDriverGetVersion()
    if known < (needed := _compiled_for()):
        too_old = f"NVIDIA's driver is for CUDA {dotted(known)}, and kernels are compiled for {dotted(needed)}"
        return f"{too_old}: {INSTALL_DRIVER}"
    return ""


def _compiled_for() -> int:
    """The version of CUDA, as drivers number them, that a driver must support: that of NVIDIA's compiler.

    If the compiler is the machine's own, it is the first version that the bindings are made for.
    """
    installed = [found for name in COMPILERS if (found := version_of(name))]
    major, minor = (installed[0] if installed else f"{version_of('cuda-bindings').split('.')[0]}.0").split(".")[:2]
    return 1000 * int(major) + 10 * int(minor)


def dotted(version: int) -> str:
    """A version of CUDA as drivers number them, 12090, in the usual form, 12.9."""
    return f"{version // 1000}.{version % 1000 // 10}"


_device: Device | None = None
_choosing = threading.Lock()


def device() -> Device:
    """The device, the same one after the first call, in any thread: the simulator, or a GPU.

    The GPU is the one current in the thread: CUDA's first one, unless a library such as PyTorch chose another.
    """
    global _device
    if _device is None:
        with _choosing:
            if _device is None:
                _device = _Simulator() if SIMULATED else _Gpu()
    return _device
