"""The intended differences from PyTorch: each is a row in docs/pytorch.md, and has its name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "pytorch.md"


@cache
def on_page() -> frozenset[str]:
    """The names in the first column of the page's tables."""
    names = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    if len(set(names)) != len(names):
        raise ValueError(f"{PAGE.name} has rows with the same name: {sorted(n for n in names if names.count(n) > 1)}")
    return frozenset(names)


def intended(name: str) -> None:
    """Mark the place in a program that allows for this difference. Raises KeyError if it is not on the page."""
    if name not in on_page():
        raise KeyError(f"{name}: docs/pytorch.md has no such row")
