"""Sums of parts, and compensated sums: how long sums stay accurate.

Parts are added pairwise as they come, like the bits of a binary counter. So each part is rounded at most log2(count)
times, and few partial sums are kept at a time:

    part       1    2    3    4    5
    kept       1    12   12   1234 1234
                         3         5
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from stackgrad.tensor import OPS
from stackgrad.tensor._types import HostArray as Array

from ._elementwise import elementwise
from ._numba import helper

PRODUCTS = 4096
"""The most products that one register sums up, one after the other."""


def sum_of(parts: Iterable[Array]) -> Array:
    """The sum of one or more arrays of the same shape."""
    kept: list[tuple[int, Array]] = []
    for part in parts:
        count = 1
        while kept and kept[-1][0] == count:
            part = elementwise(OPS["add"], kept.pop()[1], part)
            count *= 2
        kept.append((count, part))
    _, total = kept.pop()
    while kept:
        total = elementwise(OPS["add"], kept.pop()[1], total)
    return total


@helper
def add_exactly(total, lost, value):
    """`total` plus `value`, and `lost` plus the rounding error of that: total + lost is nearly exact.

    T. Ogita, S. Rump and S. Oishi, "Accurate sum and dot product", SIAM Journal on Scientific Computing 26 (2005).
    """
    new = total + value
    part = new - total
    error = (total - (new - part)) + (value - part)
    return new, lost + (error if abs(error) < np.inf else 0)  # there is no error of infinities and NaN
