"""The progress bar of a command."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from tqdm import tqdm

_NARROWEST, _WIDEST = 20, 120


class Bar(tqdm):  # type: ignore[type-arg]  # not subscriptable at run time
    """tqdm's bar if standard error is a terminal, else nothing."""

    def __init__(self, **options: Any) -> None:
        # Some terminals, such as a serial line, report 0 rows and 0 columns, and tqdm then shows nothing.
        super().__init__(disable=None, ncols=_width(), nrows=20, **options)

    @property
    def format_dict(self) -> dict[str, Any]:
        """The values that the bar shows, with the current width of the terminal."""
        return {**super().format_dict, "ncols": _width()}


def _width() -> int:
    """The width of standard error, less the last column: some terminals move to the next line after it."""
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    columns = columns or shutil.get_terminal_size().columns  # COLUMNS, or 80
    return min(max(columns, _NARROWEST), _WIDEST) - 1
