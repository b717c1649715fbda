"""The installed backends: each is found by its name, and one is the default."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from threading import RLock
from typing import TYPE_CHECKING, Any, Self

from ._errors import not_a_backend
from ._fork import free_in_forks

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from ._backend import Backend


class Named:
    """The base class of what `get_backend` finds by its name. A copy is the same object."""

    name: str

    def __reduce__(self) -> tuple[Any, ...]:
        return get_backend, (self.name,)  # a copy of a tensor is on the same backend

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # works for a backend that is not installed under a name, too

    def __repr__(self) -> str:
        return f"<{self.name} backend>"


GROUP = "stackgrad.backends"
_chosen: str | Backend | None = None
_loading = free_in_forks(RLock())  # two threads that ask at once get the same backend


@cache
def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # slow to import, and only needed for the first tensor

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def available_backends() -> Sequence[str]:
    """The names of the installed backends.

    >>> "numpy" in available_backends()
    True
    """
    return sorted(_installed())


@cache
def _load(name: str) -> Backend:
    if name not in _installed():
        raise not_a_backend(name, available_backends())
    try:
        backend: Backend = _installed()[name].load()()
    except Exception as error:
        raise RuntimeError(f"backend {name!r} does not load: {error}") from error
    return backend


def get_backend(backend: str | Backend | None = None) -> Backend:
    """The backend of that name, or the default for None.

    The default is the argument of `set_default_backend`, else the environment variable STACKGRAD_BACKEND, else "cpu"
    if stackgrad-kernels is installed, else "numpy". Raises ValueError for a name that is not installed, TypeError for
    an argument that is not a name, and RuntimeError for a backend that fails to load.

    >>> get_backend("numpy")
    <numpy backend>
    """
    chosen = _chosen if backend is None else backend
    if isinstance(chosen, Named):
        return chosen
    if chosen is not None and not isinstance(chosen, str):
        raise not_a_backend(chosen, available_backends())
    name = chosen or os.environ.get("STACKGRAD_BACKEND")
    with _loading:
        return _load(str(name or ("cpu" if "cpu" in _installed() else "numpy")))  # str: a device is a name, too


def set_default_backend(backend: str | Backend | None) -> None:
    """Put new tensors on this backend; None restores the default of `get_backend`. Raises as `get_backend`.

    >>> set_default_backend("numpy")
    >>> ones(2).backend
    <numpy backend>
    >>> set_default_backend(None)
    """
    global _chosen
    if backend is not None:
        get_backend(backend)
    _chosen = backend
