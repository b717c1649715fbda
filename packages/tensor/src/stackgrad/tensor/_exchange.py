"""The methods of a tensor that give its values to Python, to NumPy, to other libraries and to other backends."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._backend import Backend
from ._device import device, on
from ._dtypes import as_dtype, is_float
from ._errors import dtype_of
from ._host import HostBackend
from ._installed import get_backend
from ._ops import To
from ._ops import cast as cast_to
from ._types import Device, DType
from ._value import Value

if TYPE_CHECKING:
    from ._tensor import Tensor

find_namespace: Callable[[], ModuleType] | None = None  # set by the package, whose functions build on this module


class Exchange(Value):
    """Whatever reads values fails in a captured function, which would not read them again."""

    __slots__ = ()

    def numpy(self) -> NDArray[Any]:
        """The values: a read-only view if the backend uses host memory, else a copy.

        Raises RuntimeError for a tensor that requires a gradient: call detach() first.

        >>> tensor([1, 2]).numpy()
        array([1, 2])
        """
        if self.requires_grad:
            raise RuntimeError("numpy() of a tensor that requires a gradient: call .detach().numpy()")
        view: NDArray[Any] = self.read("numpy()").view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if not isinstance(self.backend, HostBackend):
            raise TypeError(
                f"NumPy was given a tensor on backend {self.backend.name!r}: "
                "bring it over with .to('cpu'), or copy it with .numpy()"
            )
        return np.array(self.numpy(), dtype, copy=copy)

    def __dlpack__(self, **options: Any) -> Any:
        """The memory as a DLPack capsule, without a copy; `options` are those of the DLPack standard.

        Raises BufferError for a tensor that requires a gradient: call detach() first.
        """
        if self.requires_grad:
            raise BufferError("__dlpack__ of a tensor that requires a gradient: call .detach() first")
        return self.read("__dlpack__()", lambda data: data.__dlpack__(**options))

    def __dlpack_device__(self) -> tuple[int, int]:
        """The DLPack type and index of the device: (1, 0) for the host."""
        device: tuple[int, int] = self.data.__dlpack_device__()
        return device

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """The memory for libraries that share GPU memory by this protocol. Only tensors on a GPU have it."""
        if self.requires_grad:
            raise AttributeError("__cuda_array_interface__ of a tensor that requires a gradient: call .detach() first")
        found: dict[str, Any] = self.read("__cuda_array_interface__", lambda data: data.__cuda_array_interface__)
        return found

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars.

        >>> tensor([[1, 2], [3, 4]]).tolist()
        [[1, 2], [3, 4]]
        """
        return self.read("tolist()").tolist()

    def __format__(self, spec: str) -> str:
        """Format a tensor without dimensions as its value: f"{loss:.4f}". Others, like lists, accept no format."""
        return format(self.item(), spec) if not self.ndim else super().__format__(spec)

    def __bool__(self) -> bool:
        if self.data.size != 1:
            raise ValueError(f"a tensor of shape {self.shape} is neither true nor false: expected one element")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if is_float(self.dtype):
            raise TypeError(f"a tensor of dtype {self.dtype} is not an index: expected int64 or bool")
        return int(self.item())

    def to(
        self,
        *targets: str | Backend | DType | type | Tensor,
        device: Device = None,
        dtype: DTypeLike | None = None,
        non_blocking: bool = False,
    ) -> Tensor:
        """The same values on another backend, in another dtype, or with both taken from a tensor; gradients flow back.

        A positional string names a backend; a positional dtype is an object such as float32. Host backends share
        memory. `non_blocking` has no effect. Raises as `get_backend`, and TypeError for other dtypes.

        >>> tensor([1, 2]).to("numpy", float64)
        tensor([1., 2.], dtype=float64)
        """
        out = cast("Tensor", self)
        for target in (*targets, device):
            if isinstance(target, Value):
                out = out.to(target.backend).astype(target.dtype)
            elif not isinstance(target, str) and (found := dtype_of(target)) is not None:
                out = out.astype(found)
            elif target is not device or device is not None:
                backend = get_backend(on(None, target))  # type: ignore[arg-type]
                out = out if backend is out.backend else To.apply(out, backend)
        return out if dtype is None else out.astype(dtype)

    @property
    def device(self) -> device:
        """The name of its backend, as a PyTorch-like device.

        >>> tensor([1.0], backend="numpy").device
        'numpy'
        """
        return device(self.backend.name)

    def to_device(self, device: str | Backend, /, *, stream: None = None) -> Tensor:
        """The name of `to` in the array API standard.

        >>> tensor([1, 2]).to_device("numpy")
        tensor([1, 2])
        """
        return self.to(device)

    def __array_namespace__(self, *, api_version: str | None = None) -> ModuleType:
        """The module `stackgrad.tensor.array_api`: the supported part of the array API standard."""
        assert find_namespace is not None
        return find_namespace()

    def cpu(self) -> Tensor:
        """Itself if it is on a host backend, else the same values on "cpu".

        >>> tensor([1, 2]).cpu()
        tensor([1, 2])
        """
        return cast("Tensor", self) if isinstance(self.backend, HostBackend) else self.to("cpu")

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The values as `dtype`; itself if that is its dtype already. Raises TypeError for other dtypes.

        >>> tensor([1.9, -1.9]).astype(int64)
        tensor([ 1, -1])
        """
        return cast_to(self, as_dtype(dtype))  # type: ignore[arg-type]
