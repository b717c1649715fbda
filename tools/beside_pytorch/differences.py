"""The differences from PyTorch that are meant: those that docs/pytorch.md gives a row, by the row's name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"


@cache
def on_page() -> frozenset[str]:
    """The names that stand first in the rows of the page's tables."""
    names = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    if len(set(names)) != len(names):
        raise ValueError(f"{PAGE.name} has two rows of one name: {sorted(n for n in names if names.count(n) > 1)}")
    return frozenset(names)


def intended(name: str) -> None:
    """Say in a program that it allows for this difference. Raises KeyError for one that is not on the page."""
    if name not in on_page():
        raise KeyError(f"{name}: docs/pytorch.md has no such row")
