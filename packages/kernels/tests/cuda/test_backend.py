"""The table of cases on the cuda backend, small where it is simulated: a simulated thread takes a tenth of a
millisecond."""

import pytest

from stackgrad.kernels.cuda._driver import SIMULATED
from stackgrad.tensor.testing import CASES, Limits

# Cases of kinds that have no kernels yet.
NOT_YET = {
    *("softmax", "log_softmax"),
    *("cross_entropy", "nll_loss", "dropout", "gather-scatter", "indexing", "uniform", "sgd_step", "adam_step"),
}
READY = [case for case in CASES if not any(case.name == name or case.name.startswith(f"{name}-") for name in NOT_YET)]
LIMITS = Limits(extent=4, size=100) if SIMULATED else None
# A gradient by differences calls for two results an element.
EXAMPLES = {"values": 15, "gradient": 2, "second": 1} if SIMULATED else {}


@pytest.mark.parametrize("case", READY, ids=str)
def test_case(case):
    case.run("cuda", LIMITS, EXAMPLES.get(case.kind))
