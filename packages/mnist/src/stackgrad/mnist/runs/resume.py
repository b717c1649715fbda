"""Finding out where a training that was stopped is to go on."""

from __future__ import annotations

import shlex
import zlib
from pathlib import Path

import numpy as np

from ..data.datasets import Dataset
from .checkpoints import Checkpoint, Checkpoints
from .folder import SUMMARY, RunError
from .process import versions


def last_checkpoint(folder: Path) -> tuple[Checkpoint, list[str]]:
    """The last good checkpoint of an unfinished run, and a line for each later one that is damaged.

    Raises RunError, with one line that says why this run cannot go on.
    """
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder; expected one that `stackgrad-mnist train` made")
    if (folder / SUMMARY).exists():
        command = f"stackgrad-mnist evaluate {shlex.quote(str(folder))}"
        raise RunError(f"{folder}: this run is finished; measure it with `{command}`")
    checkpoint, flaws = Checkpoints(folder).last_good()
    if checkpoint is None:
        why = f"no checkpoint is good: {'; '.join(flaws)}" if flaws else "no checkpoint there; start the run anew"
        raise RunError(f"{folder}: {why}")
    if not {"versions", "arguments", "data", "training", "metrics", "seconds"} <= set(checkpoint.state):
        raise RunError(f"{checkpoint.path}: of another form than this version writes: start the run anew")
    its = checkpoint.state["versions"]
    differ = [
        f"{name} {its.get(name)}, not {version}"
        for name, version in versions().items()
        if name != "python" and its.get(name) != version
    ]
    if differ:
        raise RunError(f"{folder}: was begun with {'; '.join(differ)}: go on with that, or start the run anew")
    return checkpoint, flaws


def fingerprint(data: Dataset) -> str:
    """A checksum (CRC-32) of all images and labels."""
    crc = 0
    for split in (data.train, data.test):
        for array in (split.images, split.labels):
            crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
    return f"{crc:08x}"


def expect_same_data(data: Dataset, checkpoint: Checkpoint) -> None:
    """Raise RunError where `data` is not what the run was trained on so far."""
    if fingerprint(data) != checkpoint.state["data"]:
        raise RunError(f"{checkpoint.path.parent.parent}: {data.name} is no longer the data that it was trained on")
