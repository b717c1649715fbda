"""Devices, in PyTorch's sense: each is a backend."""

from __future__ import annotations

from ._types import Device


class device(str):
    """The name of a backend, usable as a string: device("cuda:0") is "cuda", and so is its `type`.

    >>> device("numpy").type
    'numpy'
    """

    __slots__ = ()

    def __new__(cls, name: str) -> device:
        """`name` without the index of a device, which backends do not have."""
        if not isinstance(name, str):
            raise TypeError(f"device: name must be the name of a backend; got {type(name).__name__}")
        return super().__new__(cls, name.partition(":")[0])

    @property
    def type(self) -> str:
        """The name.

        >>> device("numpy:0").type
        'numpy'
        """
        return str(self)


def on(backend: Device, device: Device) -> Device:
    """Whichever of the two is given; they mean the same. Raises TypeError if both are."""
    if device is None:
        return backend
    if backend is not None:
        raise TypeError(f"both backend {backend!r} and device {device!r}: they mean the same; pass one")
    return device.partition(":")[0] if isinstance(device, str) else device
