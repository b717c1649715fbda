"""PyTorch's other names of dtypes, and the constants that it has."""

from __future__ import annotations

from math import e, inf, nan, pi

from ._create import concatenate
from ._dtypes import bool_ as bool
from ._dtypes import float32 as float
from ._dtypes import float64 as double
from ._dtypes import int64 as long

concat = concatenate

__all__ = ["bool", "concat", "double", "e", "float", "inf", "long", "nan", "pi"]
