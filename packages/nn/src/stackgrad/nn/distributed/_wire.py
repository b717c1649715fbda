"""Conversion of gradients to bfloat16, which keeps the exponent of float32 and 8 bits of precision."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NAN = np.uint16(0x7FC0)


def to_bfloat16(values: NDArray[Any], out: NDArray[np.uint16]) -> None:
    """Write the nearest bfloat16 values, ties to even; values that are too large become infinite."""
    with np.errstate(over="ignore"):  # float64
        floats = np.ascontiguousarray(values, np.float32)
    bits = floats.view(np.uint32)
    rounded = bits >> np.uint32(16)
    rounded &= np.uint32(1)
    rounded += np.uint32(0x7FFF)
    rounded += bits
    rounded >>= np.uint32(16)
    out[...] = rounded
    np.copyto(out, NAN, where=np.isnan(floats))  # rounding may have overflowed their bits


def from_bfloat16(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """The same values as float32."""
    return (values.astype(np.uint32) << np.uint32(16)).view(np.float32)
