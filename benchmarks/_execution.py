"""What a benchmark was seen to execute, as the process that found it hands it to one that has neither Numba nor us."""

from __future__ import annotations

from typing import NamedTuple

Place = tuple[str, int]
"""A file's path from the folder of the packages on, and the line where a function begins."""


class Touched(NamedTuple):
    """`called` are functions of Python, `compiled` those in kernels; the `modules` hold functions that Numba replaces
    by others; `rows` are of the op table; `kernels` the machine code of each by name and types.
    """

    called: frozenset[Place]
    compiled: frozenset[Place]
    modules: frozenset[str]
    rows: frozenset[str]
    kernels: dict[str, str]
