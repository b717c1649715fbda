"""The table of cases on the cuda backend, small in the simulator, where a thread takes a tenth of a millisecond."""

import pytest

from stackgrad.kernels.cuda._driver import SIMULATED
from stackgrad.tensor.testing import CASES, Limits

LIMITS = Limits(extent=4, size=100) if SIMULATED else None
# A gradient by differences takes two results for each element.
EXAMPLES = {"values": 15, "gradient": 2, "second": 1} if SIMULATED else {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case):
    case.run("cuda", LIMITS, EXAMPLES.get(case.kind))
