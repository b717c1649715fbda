"""Names for the types that signatures share; `types` offers them to users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._backend import Backend
    from ._value import Value

Array: TypeAlias = Any
"""A backend's own array. It has `shape`, `dtype`, `ndim`, `size` and `strides` (0 for an expanded dimension)."""

HostArray: TypeAlias = NDArray[Any]
"""A NumPy array: the array of a backend that computes in the host's memory."""

DType: TypeAlias = np.dtype[Any]
"""The dtype of an array's elements: float32, float64, int64 or bool."""

Shape: TypeAlias = tuple[int, ...]
"""One extent for each dimension."""

Dims: TypeAlias = int | Sequence[int] | None
"""The dimensions to reduce: one, several, or None for all. A negative one counts from the end."""

Pair: TypeAlias = tuple[int, int]
"""One int for the rows and one for the columns of an image, or one before it and one after it."""

Sides: TypeAlias = tuple[Pair, Pair]
"""The padding of an image: (before, after) for the rows and for the columns."""

Extents: TypeAlias = int | tuple[int, ...] | list[int]
"""One int for all dimensions of a window, or one for each: an int, (columns,) or (rows, columns)."""

Padding: TypeAlias = Extents | Sequence[Extents] | Literal["same", "valid"]
"""The padding of an image or a sequence, in any of these forms:

- an int, for all sides
- one int for each dimension: (rows, columns) or (columns,)
- (before, after) for each dimension: ((top, bottom), (left, right)) or ((left, right),)
- "valid": none
- "same": the result has the input's size; with stride 1 only; an odd element goes to the end
"""

Activation: TypeAlias = Literal["relu"] | None
"""What a layer applies to its result in the same pass: "relu", or None for nothing."""

Scalar: TypeAlias = bool | int | float
"""A Python scalar."""

Operand: TypeAlias = "Value | Scalar"
"""What an elementwise operation takes: a tensor or a Python scalar."""

Device: TypeAlias = "str | Backend | None"
"""A backend or its name, such as "cpu"; None for the default. PyTorch's devices are backends here."""

Work: TypeAlias = Callable[[], Any]
"""A function without arguments that a replay calls."""
