"""The names of the table in docs/course.md exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[3] / "docs" / "course.md"
ROWS = re.findall(r"^\| `.*\| (`stackgrad.*?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
NAMES = re.findall(r"`(stackgrad[\w.]*)`", PAGE.read_text(encoding="utf-8"))


def found(name):
    """What a dotted name stands for, in the longest part of it that is a module."""
    module, _, rest = name.rpartition(".")
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return getattr(found(module), rest)


@pytest.mark.parametrize("name", sorted(set(NAMES)))
def test_names(name):
    assert found(name) is not None


def test_every_row_has_names():
    table = PAGE.read_text(encoding="utf-8").split("|---|---|---|\n")[1].split("\n\n")[0]
    assert len(table.splitlines()) == len(ROWS) > 20
