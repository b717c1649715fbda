"""Saving of states in safetensors files, a format that cannot hold code."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

import stackgrad.tensor as sg
from stackgrad.tensor import Backend

from ._tree import flatten, unflatten
from .module import Module

_READ_AS = {
    "F64": sg.float64,
    "F32": sg.float32,
    "F16": sg.float32,
    "BF16": sg.float32,
    "I64": sg.int64,
    "BOOL": sg.bool_,
    **dict.fromkeys(("I32", "I16", "I8", "U32", "U16", "U8"), sg.int64),
}
"""The dtype into which `load` reads each dtype of the format; the conversion preserves every value."""

_NESTING = "stackgrad.state"
"""The metadata entry that holds the nesting of a state and the values that are not tensors."""


def save(
    path: str | os.PathLike[str], state: Module | Mapping[Any, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a state. The file appears whole or not at all: it replaces an old one only at the end.

        save("run.safetensors", {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3})

    Args:
        path: the file, usually "model.safetensors", in a folder that exists.
        state: a module (its `state_dict` is written), tensors by name on any backend, or a nested state of dicts, lists
            and tuples that hold tensors, numbers, text and None. Other programs find the tensors of a nested state by
            their paths, "model.0.weight", and the rest as JSON in the metadata. Equal states make equal files.
        metadata: text by name, which `load_metadata` reads.

    Raises:
        FileNotFoundError: the folder does not exist.
        TypeError: a value that cannot be saved, metadata that is not text, a state instead of the path.
        ValueError: a state that contains itself.

    >>> nn.save("layer.safetensors", nn.Linear(2, 1))
    >>> list(nn.load("layer.safetensors"))
    ['bias', 'weight']
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"save takes the path first, then the state; got {type(path).__name__} as the path")
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot save {target}: there is no folder {target.parent}")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must map names to text; got {type(metadata).__name__}")
    entries = dict(metadata or {})
    for key, text in entries.items():
        if not isinstance(key, str) or not isinstance(text, str) or key == _NESTING:
            raise TypeError(f"metadata must map names to text, except {_NESTING!r}; got {key!r}: {text!r}")
    if not isinstance(state, Module | Mapping):
        raise TypeError(f"save takes a Module or a mapping of names; got {type(state).__name__}")
    tensors, nesting = flatten(state.state_dict() if isinstance(state, Module) else state)
    if nesting is not None:
        entries[_NESTING] = nesting
    arrays = {name: np.asarray(tensor.detach().numpy(), order="C") for name, tensor in tensors.items()}
    # safetensors' save_file would write in place, and make the file readable by its owner only
    replace_file(target, _sort_metadata(safetensors.numpy.save(arrays, entries or None)))


def _sort_metadata(content: bytes) -> bytes:
    """The content of a file with sorted metadata; safetensors writes it in random order."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file atomically: even after a power failure, either the old file or the whole new one exists.

    If it cannot be written, raises an OSError that names `path` and keeps the old file.

    >>> nn.saving.replace_file("notes.txt", b"done")
    """
    if not isinstance(content, bytes):
        raise TypeError(f"replace_file: content must be bytes; got {type(content).__name__}")
    target = _as_path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with open(partial, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
        if os.name == "posix":  # other systems cannot open a folder
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # otherwise the new name might not survive a power failure
            finally:
                os.close(folder)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with contextlib.suppress(OSError):  # gone after success, or in a read-only folder
            partial.unlink()


def load(path: str | os.PathLike[str], backend: str | Backend | None = None) -> dict[str, Any]:
    """Read the tensors by name or the nested state that `save` wrote.

    float16 and bfloat16 become float32, small integers int64; every value is preserved.

    Args:
        path: a file that `save` or another program wrote in the safetensors format.
        backend: the backend of the tensors; the default backend if None.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file that is damaged, is not a safetensors file or has an unsupported dtype.

    >>> nn.save("run.safetensors", {"epoch": 3, "weights": {"bias": ones(1)}})
    >>> nn.load("run.safetensors")["epoch"]
    3
    """
    with _open(path) as file:
        dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (not a mapping)
        for name, dtype in dtypes.items():
            if dtype not in _READ_AS:
                raise ValueError(f"{path}: tensor {name!r} has dtype {dtype}; expected one of {', '.join(_READ_AS)}")
        halves = _bfloat16(path) if "BF16" in dtypes.values() else {}
        tensors = {
            name: sg.tensor(halves[name] if name in halves else file.get_tensor(name), _READ_AS[dtype], backend=backend)
            for name, dtype in dtypes.items()
        }
        nesting = (file.metadata() or {}).get(_NESTING)
    if nesting is None:
        return tensors
    try:
        state: dict[str, Any] = unflatten(tensors, nesting)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: its metadata {_NESTING!r} does not match its tensors") from error
    return state


def _bfloat16(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.float32]]:
    """The bfloat16 tensors. NumPy lacks the dtype: each element is the upper half of a float32."""
    contents: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(Path(path).read_bytes())  # type: ignore[no-untyped-call]
    return {
        name: (np.frombuffer(found["data"], "<u2").astype(np.uint32) << 16).view(np.float32).reshape(found["shape"])
        for name, found in contents
        if found["dtype"] == "BF16"
    }


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the metadata that was passed to `save`; raises as `load`.

    >>> nn.save("layer.safetensors", nn.Linear(2, 1), {"seed": "0"})
    >>> nn.load_metadata("layer.safetensors")
    {'seed': '0'}
    """
    with _open(path) as file:
        return {name: text for name, text in (file.metadata() or {}).items() if name != _NESTING}


def _as_path(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"expected the path of a file; got {type(path).__name__}")
    return Path(path)


def _open(path: str | os.PathLike[str]) -> Any:
    if not _as_path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from None
