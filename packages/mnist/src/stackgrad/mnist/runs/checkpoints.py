"""Checkpoints: the state from which a training can be resumed.

A checkpoint is one safetensors file with a SHA-256 of its contents. It is written to a temporary file, flushed to the
disk and renamed, so that a crash at any time leaves the previous checkpoint intact. The last two are kept, in case one
is damaged later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackgrad import nn
from stackgrad.tensor import Tensor

KEPT = 2
FOLDER = "checkpoints"
_ENTRY = "checkpoint"


class CheckpointError(ValueError):
    """A checkpoint is damaged. The message is one line that says which and how."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read: its file, its step, and the state after that step."""

    path: Path
    step: int
    state: dict[str, Any]


def digest(state: Mapping[Any, Any]) -> str:
    """SHA-256 of a state for `nn.save`: of its structure and values, and the dtypes and shapes of its tensors. The
    order of names does not matter."""
    sha256 = hashlib.sha256()
    for line in _lines(state, ""):
        sha256.update(line)
    return sha256.hexdigest()


def _lines(value: Any, path: str) -> Iterator[bytes]:
    inner = b""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Tensor):
        array = value.detach().numpy()
        what, inner = f"{array.dtype.str} {array.shape}", array.tobytes()
    elif isinstance(value, Mapping):
        what, items = f"{len(value)} by name", sorted(value.items(), key=lambda item: str(item[0]))
    elif isinstance(value, list | tuple):
        what, items = f"{type(value).__name__} of {len(value)}", enumerate(value)
    else:
        what = repr(value)
    if path:
        yield f"{path} {what}\n".encode("utf-8", "surrogatepass") + inner
    for name, held in items:
        yield from _lines(held, f"{path}.{name}" if path else str(name))


class Checkpoints:
    """The checkpoints of a run, in a subfolder of the run's folder."""

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER

    def paths(self) -> list[Path]:
        """The files, newest first, whether good or damaged."""
        found = [path for path in self.folder.glob("step-*.safetensors") if re.fullmatch(r"step-\d+", path.stem)]
        return sorted(found, key=_step, reverse=True)

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write the checkpoint of a step, then remove all but the last two. Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / f"step-{step:08d}.safetensors"
        nn.save(path, state, {_ENTRY: digest(state)})
        for old in self.paths()[KEPT:]:
            old.unlink()

    def last_good(self) -> tuple[Checkpoint | None, list[str]]:
        """The last good checkpoint, or None, and a line for each later one, all damaged."""
        flaws: list[str] = []
        for path in self.paths():
            try:
                return _read(path), flaws
            except CheckpointError as error:
                flaws.append(str(error))
        return None, flaws

    def remove_from(self, step: int) -> None:
        """Remove the checkpoints of this step and of later ones."""
        for path in self.paths():
            if _step(path) >= step:
                path.unlink()


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _read(path: Path) -> Checkpoint:
    try:
        state, expected = nn.load(path, backend="numpy"), nn.load_metadata(path).get(_ENTRY)
    except (OSError, ValueError) as error:
        raise CheckpointError(str(error)) from error
    if expected != digest(state):
        raise CheckpointError(f"{path}: damaged: the checksum does not match the contents")
    return Checkpoint(path, _step(path), state)
