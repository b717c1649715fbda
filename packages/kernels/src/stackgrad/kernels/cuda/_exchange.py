"""Memory lent to other libraries and borrowed from them, without a copy.

DLPack (https://dmlc.github.io/dlpack/latest/c_api.html), which PyTorch, CuPy, JAX and NumPy support, uses a capsule. It
holds the address of a C structure that describes the array, and a function to call when it is no longer needed. The
CUDA array interface, version 3 (https://nvidia.github.io/numba-cuda/user/cuda_array_interface.html), is a dictionary.
The simulator's memory is the host's, so its arrays are lent and borrowed as host arrays.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import numpy as np

from stackgrad.tensor._shape import strides_in_order
from stackgrad.tensor._types import Shape

from ._driver import device
from ._memory import Foreign

if TYPE_CHECKING:
    from ._array import DeviceArray

Parts = tuple[Foreign, int, Shape, Shape, np.dtype[Any]]
"""The parts of a DeviceArray: memory, offset, shape, strides, dtype."""

_FRESH, _USED = b"dltensor", b"used_dltensor"  # a capsule's names before and after its content is taken
CPU, CUDA = 1, 2  # device types of DLPack
LEGACY = 1  # the handle of the legacy default stream, for DLPack and CUDA
_CODES = {"i": 0, "f": 2, "b": 6}


class _Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = [
        ("tensor", _Tensor),
        ("context", ctypes.c_void_p),
        ("deleter", _Deleter),
    ]


def _python(name: str, result: Any, *arguments: Any) -> Any:
    return ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))


_new = _python("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_is_valid = _python("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_content = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
_content_at_end = _python("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_rename = _python("PyCapsule_SetName", ctypes.c_int, ctypes.py_object, ctypes.c_char_p)

_lent: dict[int, tuple[Any, ...]] = {}  # by the structure's address: objects that must live until the deleter is called


@_Deleter
def _release(address: int) -> None:
    try:
        lent = _lent.pop(address)
        _outlast(lent[-1])
    except Exception:  # at interpreter shutdown, globals of this file may be gone
        pass


def _outlast(stream: int | None) -> None:
    """Let later work wait for the present work of a consumer in the stream that it passed with its request.

    A consumer may have destroyed its own stream by now, so that is not waited for by its handle, but with all others.
    """
    if stream in (None, LEGACY):
        device().wait_for(LEGACY)
    elif stream != -1:
        device().synchronize_all()


@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
def _end_of_capsule(capsule: int) -> None:
    """Release the content with its capsule if nobody took it."""
    if _is_valid(capsule, _FRESH):
        _release(_content_at_end(capsule, _FRESH))


def to_dlpack(a: DeviceArray, stream: int | None = None) -> Any:
    """A capsule that lends the memory of `a`, complete for the consumer's `stream`; -1 asks for no synchronisation.

    Work that the consumer has begun in that stream when it returns the memory ends before the memory is reused.
    Raises BufferError for read-only memory, which such a capsule cannot express.
    """
    if not a.is_writable:
        raise BufferError("__dlpack__ of a tensor in read-only memory: clone() it first")
    if stream != -1:
        device().synchronize()
    extents = (ctypes.c_int64 * a.ndim)(*a.shape)
    strides = (ctypes.c_int64 * a.ndim)(*a.strides)
    device_type, ordinal = device_of(a)
    described = _Tensor(
        data=address_of(a),
        device_type=device_type,
        device_id=ordinal,
        ndim=a.ndim,
        code=_CODES[a.dtype.kind],
        bits=8 * a.dtype.itemsize,
        lanes=1,
        shape=extents,
        strides=strides,
        byte_offset=0,
    )
    managed = _Managed(tensor=described, context=None, deleter=_release)
    address = ctypes.addressof(managed)
    _lent[address] = (managed, extents, strides, a, stream)
    return _new(address, _FRESH, ctypes.cast(_end_of_capsule, ctypes.c_void_p))


def device_of(a: DeviceArray) -> tuple[int, int]:
    """DLPack's type of the device, and its index."""
    return (CPU, 0) if device().is_host else (CUDA, device().ordinal)


def address_of(a: DeviceArray) -> int:
    """The address of its first element."""
    return device().address(a.owner.memory) + a.offset * a.dtype.itemsize


def to_cuda_array_interface(a: DeviceArray) -> dict[str, Any]:
    """The dictionary. It names no stream, because some consumers ignore that; all launches are done instead."""
    device().synchronize()
    return {
        "shape": a.shape,
        "strides": tuple([step * a.dtype.itemsize for step in a.strides]),
        "typestr": a.dtype.str,
        "data": (address_of(a) if a.size else 0, not a.is_writable),
        "version": 3,
        "stream": None,
    }


def borrow(external: Any) -> Parts:
    """The memory of another library's array on this device.

    Raises TypeError for an object without such an interface or of another dtype, and ValueError for another device.
    """
    if hasattr(external, "__dlpack__"):
        return _from_dlpack(external)
    if hasattr(external, "__cuda_array_interface__"):
        return _from_interface(external)
    raise TypeError(f"from_dlpack of {type(external).__name__}: it has neither __dlpack__ nor __cuda_array_interface__")


def _from_dlpack(external: Any) -> Parts:
    found = tuple(int(part) for part in external.__dlpack_device__())
    wanted = (CPU, 0) if device().is_host else (CUDA, device().ordinal)
    if found != wanted:
        raise ValueError(
            f"from_dlpack of an array on DLPack device {found} for {device().name}, which is {wanted}: "
            "copy it to that device first"
        )
    capsule = external.__dlpack__() if device().is_host else external.__dlpack__(stream=device().stream_handle)
    address = _content(capsule, _FRESH)
    managed = _Managed.from_address(address)
    tensor = managed.tensor
    dtype = _dtype_of(tensor)
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else strides_in_order(shape)
    _rename(capsule, _USED)
    return _array_at((tensor.data or 0) + tensor.byte_offset, shape, strides, dtype, _Borrowed(address))


def _dtype_of(tensor: _Tensor) -> np.dtype[Any]:
    for dtype in map(np.dtype, ("float32", "float64", "int64", "bool")):
        if (tensor.code, tensor.bits, tensor.lanes) == (_CODES[dtype.kind], 8 * dtype.itemsize, 1):
            return dtype
    raise TypeError(
        f"from_dlpack of elements of code {tensor.code}, {tensor.bits} bits and {tensor.lanes} lanes: "
        "expected float32, float64, int64 or bool"
    )


class _Borrowed:
    """Another library's structure, released when this object is freed; `Foreign` waits for the device before."""

    def __init__(self, address: int) -> None:
        self._managed = _Managed.from_address(address)
        self._address = address

    def __del__(self) -> None:
        if self._managed.deleter:
            self._managed.deleter(self._address)


def _from_interface(external: Any) -> Parts:
    described = external.__cuda_array_interface__
    dtype = np.dtype(described["typestr"])
    if dtype not in [np.dtype(name) for name in ("float32", "float64", "int64", "bool")]:
        raise TypeError(f"from_dlpack of elements of {dtype}: expected float32, float64, int64 or bool")
    shape = tuple(described["shape"])
    given = described.get("strides")
    if given is not None and any(step % dtype.itemsize for step in given):
        raise ValueError(f"from_dlpack of strides {given} in bytes: expected multiples of {dtype.itemsize}")
    strides = strides_in_order(shape) if given is None else tuple(step // dtype.itemsize for step in given)
    if described.get("stream") is not None:
        device().wait_for(described["stream"])
    address, read_only = described["data"]
    return _array_at(address, shape, strides, dtype, external, not read_only)


def _array_at(
    address: int, shape: Shape, strides: Shape, dtype: np.dtype[Any], owner: Any, writable: bool = True
) -> Parts:
    """The array whose first element is at `address`; `owner` keeps the memory alive."""
    ends = [(n - 1) * step for n, step in zip(shape, strides, strict=True)] if 0 not in shape else []
    low, high = sum(end for end in ends if end < 0), sum(end for end in ends if end > 0)
    size = (high - low + 1) * dtype.itemsize if 0 not in shape else 0
    memory = device().borrow(address + low * dtype.itemsize, size)
    return Foreign(memory, owner, writable), -low, shape, strides, dtype
