"""Devices, as PyTorch names them: each is a backend."""

from __future__ import annotations

from ._backend import Backend

Name = str | Backend | None


class device(str):
    """The name of a backend, as which it is taken everywhere: device("cuda:0") is "cuda", its `type` too."""

    __slots__ = ()

    def __new__(cls, name: str) -> device:
        """`name` without the number of a device, which a backend has not."""
        return super().__new__(cls, name.partition(":")[0])

    @property
    def type(self) -> str:
        """The name."""
        return str(self)


def on(backend: Name, device: Name) -> Name:
    """The one of the two that is given; both mean the same. Raises TypeError for both."""
    if device is None:
        return backend
    if backend is not None:
        raise TypeError(f"both backend {backend!r} and device {device!r}: they mean the same; pass one")
    return device.partition(":")[0] if isinstance(device, str) else device
