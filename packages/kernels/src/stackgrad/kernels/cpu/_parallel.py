"""How work is split: into chunks whose size depends on the data alone, so that any number of threads gives equal bits.

The unit of work is one operation of an elementwise kernel, which does one for each element.
"""

from __future__ import annotations

# A kernel with less work than this runs its chunks on one thread: waking the others costs more.
SERIAL = 32_768
# Elements in a chunk of an elementwise kernel: three operands and the result fit the second-level cache.
CHUNK = 8_192
# Multiply-adds in registers that cost as much as one unit of work.
MULTIPLY_ADDS = 8
# The work of reading or writing one element of a cache line whose other elements are not used.
STRIDED = 4


def is_small(work: int) -> bool:
    """Whether one thread does this much work fastest."""
    return work < SERIAL
