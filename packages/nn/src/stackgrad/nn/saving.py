"""Tensors in files, by safetensors: a format that holds numbers and cannot hold code."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

import stackgrad.tensor as sg
from stackgrad.tensor import Backend, Tensor

from .module import Module

_DTYPES = {"F32": "float32", "F64": "float64", "I64": "int64", "BOOL": "bool"}
"""The dtypes that tensors have, by the names that the format gives them."""


def save(
    path: str | os.PathLike[str], state: Module | Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors by name. The file appears whole or not at all: one of the same name is replaced at the end.

    Args:
        path: the file, "model.safetensors" by custom, in a folder that exists.
        state: a module (its `state_dict` is written), or tensors by name, on any backend.
        metadata: text by name, written with them; `load_metadata` reads it.

    Raises:
        FileNotFoundError: the folder does not exist.
        TypeError: a value that is no Tensor, metadata that is not text.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot save {target}: there is no folder {target.parent}")
    tensors = state.state_dict() if isinstance(state, Module) else state
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"cannot save {name!r}: expected a Tensor, got {type(tensor).__name__}")
        arrays[name] = np.asarray(tensor.detach().numpy(), order="C")
    for key, text in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"metadata must be text by name; got {key!r}: {text!r}")
    # safetensors' save_file would make it readable for its owner alone, and write in place
    replace_file(target, safetensors.numpy.save(arrays, dict(metadata) if metadata else None))


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file such that, whatever happens, the old one or the whole new one is there: also after a power failure.

    Raises OSError, and leaves the old one, where it cannot be written; the error names `path`.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # or the new name might not survive a power failure
            finally:
                os.close(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with contextlib.suppress(OSError):  # not there after all went well, or in a folder that cannot be written
            partial.unlink()


def load(path: str | os.PathLike[str], backend: str | Backend | None = None) -> dict[str, Tensor]:
    """Reads the tensors of a file by name.

    Args:
        path: a file that `save` or another program wrote in the safetensors format.
        backend: where the tensors shall be; the default backend where None.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file, a damaged one, a dtype that tensors do not have.
    """
    with _open(path) as file:
        tensors = {}
        for name in file.keys():  # noqa: SIM118 (the handle is no mapping)
            dtype = file.get_slice(name).get_dtype()
            if dtype not in _DTYPES:
                raise ValueError(f"{path}: tensor {name!r} has dtype {dtype}; expected one of {', '.join(_DTYPES)}")
            tensors[name] = sg.tensor(file.get_tensor(name), backend=backend)
        return tensors


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads the text that `save` wrote beside the tensors; raises as `load`."""
    with _open(path) as file:
        return dict(file.metadata() or {})


def _open(path: str | os.PathLike[str]) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from None
