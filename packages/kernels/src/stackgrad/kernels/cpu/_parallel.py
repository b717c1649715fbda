"""How work is cut: into chunks whose size depends on the data alone, so that any number of threads gives equal bits.

The work of a launch is counted in operations of an elementwise kernel, one for each element.
"""

from __future__ import annotations

# Below this much work a kernel runs its chunks one after the other: waking threads costs more.
SERIAL = 32_768
# Elements in a chunk of an elementwise kernel: three operands and the result fit the second-level cache.
CHUNK = 8_192
# Multiply-adds in registers that are as much work as one operation.
MULTIPLY_ADDS = 8
# The work of moving one element to or from a line of the cache of its own.
STRIDED = 4


def is_small(work: int) -> bool:
    """Whether so much work is for one thread."""
    return work < SERIAL
