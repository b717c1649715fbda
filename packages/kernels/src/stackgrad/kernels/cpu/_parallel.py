"""How work is cut: into chunks whose size depends on the data alone, so that any number of threads gives equal bits."""

from __future__ import annotations

# Below this many operations a kernel runs its chunks one after the other: waking threads costs more.
SERIAL = 32_768
# Elements in a chunk of an elementwise kernel: three operands and the result fit the second-level cache.
CHUNK = 8_192
# Multiply-adds in registers that take as long as one operation of an elementwise kernel.
MULTIPLY_ADDS = 8
# Operations of an elementwise kernel that take as long as to move one element to or from a place of its own.
STRIDED = 4
