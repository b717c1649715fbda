"""What a benchmark executed, as one process hands it to another that needs neither Numba nor the packages."""

from __future__ import annotations

from typing import NamedTuple

Location = tuple[str, int]
"""The path of a file, relative to the folder of the packages, and the line where a function starts."""


class Touched(NamedTuple):
    """What a benchmark executes.

    Attributes:
        called: Python functions.
        compiled: functions that are compiled into kernels.
        modules: files with functions that Numba replaces by others.
        rows: rows of the op table.
        kernels: digests of the machine code of kernels, by name and types.
    """

    called: frozenset[Location]
    compiled: frozenset[Location]
    modules: frozenset[str]
    rows: frozenset[str]
    kernels: dict[str, str]
