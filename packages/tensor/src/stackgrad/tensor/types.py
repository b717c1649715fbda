"""The types that the signatures of `stackgrad.tensor` name: what functions take, and what they return.

`Value` is the base class of `Tensor`, and all values are tensors.
"""

from ._autograd import Edge, Saved
from ._graph import Graph
from ._hooks import Handle
from ._host_buffer import HostBuffer
from ._mode import GradMode, Observer
from ._optable import Gradient, Interval
from ._optim import Numbers
from ._plans import Layout
from ._reductions import NumPyNames
from ._size import Size
from ._sorting import Sorted
from ._stage import Stage
from ._types import (
    Activation,
    Array,
    Device,
    Dims,
    DType,
    Extents,
    HostArray,
    Operand,
    Padding,
    Pair,
    Scalar,
    Shape,
    Sides,
    Work,
)
from ._value import Value, Version

__all__ = [
    "Activation",
    "Array",
    "DType",
    "Device",
    "Dims",
    "Edge",
    "Extents",
    "GradMode",
    "Gradient",
    "Graph",
    "Handle",
    "HostArray",
    "HostBuffer",
    "Interval",
    "Layout",
    "NumPyNames",
    "Numbers",
    "Observer",
    "Operand",
    "Padding",
    "Pair",
    "Saved",
    "Scalar",
    "Shape",
    "Sides",
    "Size",
    "Sorted",
    "Stage",
    "Value",
    "Version",
    "Work",
]
