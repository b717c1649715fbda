"""How work is split: into chunks whose size depends on the data alone, so that any number of threads gives equal bits.

The unit of work is one operation of an elementwise kernel, which does one for each element.
"""

from __future__ import annotations

# A kernel with less work than this runs its chunks on one thread: waking the others costs more.
SERIAL = 32_768
# The share of that from which on a launch in a replay runs on all threads, once they are awake. A step of lenet5 with
# 16 images took 184 us with 1, and 178 to 179 with 1/2, 1/4 and 1/8.
AWAKE = 1 / 4
# Elements in a chunk of an elementwise kernel: three operands and the result fit the second-level cache.
CHUNK = 8_192
# Multiply-adds in registers that cost as much as one unit of work.
MULTIPLY_ADDS = 8
# The work of reading or writing one element of a cache line whose other elements are not used.
STRIDED = 4


def is_small(work: int, awake: bool = False) -> bool:
    """Whether one thread does this much work fastest. `awake`: the others are awake."""
    return work < (SERIAL * AWAKE if awake else SERIAL)
