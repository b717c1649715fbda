"""The bar that shows how far a command is."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from tqdm import tqdm

_NARROWEST, _WIDEST = 20, 120


class Bar(tqdm):  # type: ignore[type-arg]  # at run time it takes no type
    """tqdm's bar where standard error is a terminal, nothing elsewhere."""

    def __init__(self, **options: Any) -> None:
        # Some terminals, a serial line for one, say that they have no rows and no columns: tqdm then shows nothing.
        super().__init__(disable=None, ncols=_width(), nrows=20, **options)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the bar shows, as wide as the terminal is now."""
        return {**super().format_dict, "ncols": _width()}


def _width() -> int:
    """The columns of a line on standard error but the last, which moves some terminals on to the next line."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    columns = columns or shutil.get_terminal_size().columns  # COLUMNS, or 80
    return min(max(columns, _NARROWEST), _WIDEST) - 1
