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

# In the order of EMNIST's mapping files, https://www.nist.gov/itl/products-and-services/emnist-dataset. If upper and
# lower case of a letter look alike, they are one class (Cohen et al. 2017, https://arxiv.org/abs/1702.05373).
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
    """Names of classes cannot be used. The message is one line that says why."""


def read_labels(given: str) -> list[str]:
    """Read names of classes: one per line of a file, or separated by commas.

    Args:
        given: the path of a text file in UTF-8, or the names themselves.

    Raises:
        LabelError: the file cannot be read, or a name is empty, not printable, or used twice.
    """
    # Decode arguments as UTF-8 even if Python does not, for example with an old LC_ALL=C.
    names = os.fsencode(given).decode(errors="surrogateescape").split(",")
    if len(names) == 1:
        try:
            with open(given, encoding="utf-8-sig") as file:
                text = file.read(_LONGEST + 1)
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
            raise LabelError(
                f"{given}: {why}; expected a file with one name per line, or names separated by commas"
            ) from error
        names = text.splitlines()
        if len(text) > _LONGEST:
            raise LabelError(f"{given}: more than {_LONGEST:,} characters: too long for names of classes")
    names = [name.strip() for name in names]
    for label, name in enumerate(names):
        if not name or not name.isprintable():
            raise LabelError(f"the name of class {label} is {name!r}: expected a printable name")
        if name in names[:label]:
            raise LabelError(f"classes {names.index(name)} and {label} are both named {name!r}: use different names")
    return names


def expect_fitting(labels: list[str] | None, data: Dataset) -> None:
    """Raise LabelError unless every class that occurs has a name, and there are no more names than classes."""
    needed = 1 + max(int(split.labels.max()) for split in (data.train, data.test))
    if labels and not needed <= len(labels) <= data.classes:
        raise LabelError(f"got {len(labels)} names of classes, but {data.name} has {needed} classes")


def name_of(label: int, labels: list[str] | None) -> str:
    """The name of a class, or its label if it has no name."""
    return labels[label] if labels and label < len(labels) else str(label)


def default_labels(folder: Path | None) -> list[str] | None:
    """The names that belong to a fetched data set, or None for any other folder."""
    for name, published in PUBLISHED.items():
        if folder is not None and name != "mnist" and folder == folder_of(name):
            return list(published.labels)
    return None


def class_names(summary: Mapping[str, Any], labels: list[str] | None = None) -> list[str]:
    """The names of a run's classes: `labels`, or the names from training, or EMNIST's, or the labels themselves.

    Args:
        summary: the contents of summary.json.
        labels: from --labels; may have fewer names than there are classes.
    """
    arguments = summary["arguments"]
    known = labels or arguments.get("labels") or list(_EMNIST.get(arguments.get("emnist"), ""))
    return [name_of(label, known) for label in range(summary["classes"])]
