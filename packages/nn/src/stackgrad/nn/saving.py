"""States in files, by safetensors: a format that holds numbers and cannot hold code."""

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
"""The dtypes in which tensors are read, by the names that the format gives to those of a file: no value is changed."""

_NESTING = "stackgrad.state"
"""The entry of the metadata that holds what is no tensor, and the nesting of a state."""


def save(
    path: str | os.PathLike[str], state: Module | Mapping[Any, Any], metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a state. The file appears whole or not at all: one of the same name is replaced at the end.

        save("run.safetensors", {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3})

    Args:
        path: the file, "model.safetensors" by custom, in a folder that exists.
        state: a module (its `state_dict` is written), or tensors by name, on any backend; or a nested state of dicts,
            lists and tuples that hold tensors, numbers, text and None. Other programs find the tensors of a nested
            state by their paths, "model.0.weight", and the rest as JSON in the metadata. Equal states make equal files.
        metadata: text by name, written with them; `load_metadata` reads it.

    Raises:
        FileNotFoundError: the folder does not exist.
        TypeError: a value that cannot be saved, metadata that is not text, a state in the place of the path.
        ValueError: a state that holds itself.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"save takes the path first, then the state; got {type(path).__name__} as the path")
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot save {target}: there is no folder {target.parent}")
    entries = dict(metadata or {})
    for key, text in entries.items():
        if not isinstance(key, str) or not isinstance(text, str) or key == _NESTING:
            raise TypeError(f"metadata must be text by name, other than {_NESTING!r}; got {key!r}: {text!r}")
    if not isinstance(state, Module | Mapping):
        raise TypeError(f"save takes a Module, or a state by name; got {type(state).__name__}")
    tensors, nesting = flatten(state.state_dict() if isinstance(state, Module) else state)
    if nesting is not None:
        entries[_NESTING] = nesting
    arrays = {name: np.asarray(tensor.detach().numpy(), order="C") for name, tensor in tensors.items()}
    # safetensors' save_file would make it readable for its owner alone, and write in place
    replace_file(target, _in_order(safetensors.numpy.save(arrays, entries or None)))


def _in_order(content: bytes) -> bytes:
    """The content of a file with its metadata in order, which safetensors writes in a random one."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    if "__metadata__" in header:
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


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


def load(path: str | os.PathLike[str], backend: str | Backend | None = None) -> dict[str, Any]:
    """Reads what `save` wrote: the tensors by name, or the nested state.

    float16 and bfloat16 become float32, small integers int64: no value is changed.

    Args:
        path: a file that `save` or another program wrote in the safetensors format.
        backend: where the tensors shall be; the default backend if None.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a safetensors file, a damaged one, a dtype that cannot be read.
    """
    with _open(path) as file:
        dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
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
        raise ValueError(f"{path} is damaged: its metadata {_NESTING!r} does not fit its tensors") from error
    return state


def _bfloat16(path: str | os.PathLike[str]) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors of bfloat16, which NumPy does not have: each element is the upper half of a float32."""
    contents: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(Path(path).read_bytes())  # type: ignore[no-untyped-call]
    return {
        name: (np.frombuffer(found["data"], "<u2").astype(np.uint32) << 16).view(np.float32).reshape(found["shape"])
        for name, found in contents
        if found["dtype"] == "BF16"
    }


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Reads the text that `save` was given as metadata; raises as `load`."""
    with _open(path) as file:
        return {name: text for name, text in (file.metadata() or {}).items() if name != _NESTING}


def _open(path: str | os.PathLike[str]) -> Any:
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        return safetensors.safe_open(path, framework="numpy")
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error}") from None
