"""The names of classes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Any

from ..errors import MistakeError
from .datasets import Dataset
from .published import PUBLISHED, folder_of

_LONGEST = 2**16

# In the order of EMNIST's mapping files, https://www.nist.gov/itl/products-and-services/emnist-dataset; where upper and
# lower case of a letter look alike, both are one class (Cohen et al. 2017, https://arxiv.org/abs/1702.05373).
_MERGED = digits + ascii_uppercase + "abdefghnqrt"
_EMNIST = {
    "balanced": _MERGED,
    "bymerge": _MERGED,
    "byclass": digits + ascii_uppercase + ascii_lowercase,
    "digits": digits,
    "letters": "-" + ascii_uppercase,  # class 0 is unused
    "mnist": digits,
}


class LabelError(MistakeError):
    """Names of classes that cannot be used; one line that says why."""


def read_labels(given: str) -> list[str]:
    """The names in a file, one a line, or between commas.

    Args:
        given: the path of a text file in UTF-8, or the names themselves.

    Raises:
        LabelError: the file cannot be read, or a name is empty, cannot be printed, or stands twice.
    """
    # What was typed is taken for UTF-8 also where Python does not read arguments so, as with an old LC_ALL=C.
    names = os.fsencode(given).decode(errors="surrogateescape").split(",")
    if len(names) == 1:
        try:
            with open(given, encoding="utf-8-sig") as file:
                text = file.read(_LONGEST + 1)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
            raise LabelError(
                f"{given}: {why}; expected a file with a name of a class on each line, or names between commas"
            ) from error
        names = text.splitlines()
        if len(text) > _LONGEST:
            raise LabelError(f"{given}: more than {_LONGEST:,} characters: too long for the names of classes")
    names = [name.strip() for name in names]
    for number, name in enumerate(names):
        if not name or not name.isprintable():
            raise LabelError(f"the name of class {number} is {name!r}: expected one that can be printed")
        if name in names[:number]:
            raise LabelError(f"classes {names.index(name)} and {number} are both named {name!r}: expected other names")
    return names


def expect_fitting(labels: list[str] | None, data: Dataset) -> None:
    """Raise LabelError unless there is a name for each class that occurs, and none for one that cannot."""
    needed = 1 + max(int(split.labels.max()) for split in (data.train, data.test))
    if labels and not needed <= len(labels) <= data.classes:
        raise LabelError(f"{len(labels)} names of classes; {data.name} has {needed} classes")


def expect_no_more(labels: list[str] | None, classes: int) -> None:
    """Raise LabelError for more names than the model knows classes."""
    if labels and len(labels) > classes:
        raise LabelError(f"{len(labels)} names of classes; the model tells {classes} apart")


def name_of(label: int, labels: list[str] | None) -> str:
    """What to call a class: its name, or its number where it has none."""
    return labels[label] if labels and label < len(labels) else str(label)


def default_labels(folder: Path | None) -> list[str] | None:
    """The names that come with a data set that was fetched; None for others."""
    for name, published in PUBLISHED.items():
        if folder is not None and name != "mnist" and folder == folder_of(name):
            return list(published.labels)
    return None


def class_names(summary: Mapping[str, Any], labels: list[str] | None = None) -> list[str]:
    """The names of a run's classes: `labels`, those it was trained with, EMNIST's own, or else the numbers.

    Args:
        summary: what summary.json holds.
        labels: as --labels gave them; not for each class, maybe.
    """
    arguments = summary["arguments"]
    known = labels or arguments.get("labels") or list(_EMNIST.get(arguments.get("emnist"), ""))
    return [name_of(label, known) for label in range(summary["classes"])]
