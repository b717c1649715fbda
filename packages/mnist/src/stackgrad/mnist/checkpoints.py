"""Checkpoints: what a training needs to go on, in files that are whole or do not count.

A checkpoint is one safetensors file with a SHA-256 of all that it holds. It is written beside its place, forced to the
disk and renamed, so that a crash at any moment leaves the one before; two are kept in case one is damaged later.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackgrad import nn
from stackgrad.tensor import Tensor

KEPT = 2
FOLDER = "checkpoints"
_ENTRY = "checkpoint"  # one entry of metadata only: safetensors writes several in random order


class CheckpointError(ValueError):
    """A checkpoint that is damaged; one line that says which and how."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it was read: after which step it was made, its tensors by name, and the rest."""

    path: Path
    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]


def digest(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """SHA-256 of a text and of tensors, their names, dtypes and shapes."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        array = tensor.detach().numpy()
        found.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return found.hexdigest()


class Checkpoints:
    """The checkpoints of a run, in a folder of their own inside the run's."""

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER

    def paths(self) -> list[Path]:
        """The files, the last one first, whether good or not."""
        found = [path for path in self.folder.glob("step-*.safetensors") if re.fullmatch(r"step-\d+", path.stem)]
        return sorted(found, key=_step, reverse=True)

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write the checkpoint after a step, then remove all but the last two. Raises OSError."""
        self.folder.mkdir(exist_ok=True)
        text = json.dumps(state)
        path = self.folder / f"step-{step:08d}.safetensors"
        nn.save(path, tensors, {_ENTRY: f"{digest(tensors, text)} {text}"})
        for old in self.paths()[KEPT:]:
            old.unlink()

    def last_good(self) -> tuple[Checkpoint | None, list[str]]:
        """The last checkpoint that is whole, or None, and one line for each later one that is not."""
        flaws: list[str] = []
        for path in self.paths():
            try:
                return _read(path), flaws
            except CheckpointError as error:
                flaws.append(str(error))
        return None, flaws

    def remove_from(self, step: int) -> None:
        """Remove the checkpoints after this step and later ones."""
        for path in self.paths():
            if _step(path) >= step:
                path.unlink()


def _step(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def _read(path: Path) -> Checkpoint:
    try:
        tensors = nn.load(path, backend="numpy")
        expected, _, text = nn.load_metadata(path).get(_ENTRY, "").partition(" ")
    except (OSError, ValueError) as error:
        raise CheckpointError(str(error)) from error
    if expected != digest(tensors, text):
        raise CheckpointError(f"{path}: damaged: it is not what was saved (its checksum differs)")
    return Checkpoint(path, _step(path), tensors, json.loads(text))
