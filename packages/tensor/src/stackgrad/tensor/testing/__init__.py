"""Tests for backends: a table of cases that works for every backend, and the random arrays they use.

The test module of a backend is a loop over the table. Each case draws shapes with extents of 0 and 1, both float
dtypes, and contiguous, transposed, sliced and repeated memory. It compares results with `NumpyBackend`, float64
formulas or the plain loops of `stackgrad.tensor.testing.loops`, and gradients with central differences.

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_backend(case: Case) -> None:
        case.run("cpu")

For small arrays, for example on a simulator: `case.run("cuda", Limits(extent=3, size=30), max_examples=5)`.
`Limits(size=200_000)` covers code that only large arrays reach, and `LONG_SUMS` errors that only show in long sums.
Needs Hypothesis: pip install stackgrad-tensor[testing].
"""

from ._case import Case, Check, check_gradient
from ._classes import CLASS_CASES
from ._compare import expect_close, expect_equal, expect_near, sum_bound, ulps
from ._draw import Draw, Limits, Sample, Values, draws, uniform
from ._elementwise import ELEMENTWISE_CASES, check_elementwise, check_elementwise_gradient
from ._functions import RandomFunction, check_fused
from ._keys import draw_key
from ._long_sums import LONG_SUMS
from ._memory import MEMORY_CASES
from ._order import ORDER_CASES
from ._products import PRODUCT_CASES
from ._reduce import REDUCE_CASES, check_reduce, check_reduced_gradient
from ._special import SPECIAL_CASES
from ._sums import EXACTNESS_CASES
from ._windows import WINDOW_CASES, Convolution, draw_convolution, draw_pool
from ._writing import WRITING_CASES

CASES: tuple[Case, ...] = (
    *ELEMENTWISE_CASES,
    *REDUCE_CASES,
    *EXACTNESS_CASES,
    *PRODUCT_CASES,
    *WINDOW_CASES,
    *CLASS_CASES,
    *MEMORY_CASES,
    *ORDER_CASES,
    *SPECIAL_CASES,
    *WRITING_CASES,
)

__all__ = [
    "CASES",
    "CLASS_CASES",
    "ELEMENTWISE_CASES",
    "EXACTNESS_CASES",
    "LONG_SUMS",
    "MEMORY_CASES",
    "ORDER_CASES",
    "PRODUCT_CASES",
    "REDUCE_CASES",
    "SPECIAL_CASES",
    "WINDOW_CASES",
    "WRITING_CASES",
    "Case",
    "Check",
    "Convolution",
    "Draw",
    "Limits",
    "RandomFunction",
    "Sample",
    "Values",
    "check_elementwise",
    "check_elementwise_gradient",
    "check_fused",
    "check_gradient",
    "check_reduce",
    "check_reduced_gradient",
    "draw_convolution",
    "draw_key",
    "draw_pool",
    "draws",
    "expect_close",
    "expect_equal",
    "expect_near",
    "sum_bound",
    "ulps",
    "uniform",
]
