"""The cases of sorting, selecting and moving elements, and of einsum, on the reference backend."""

import pytest

from stackgrad.tensor.testing import ORDER_CASES


@pytest.mark.parametrize("case", ORDER_CASES, ids=str)
def test_on_numpy(case):
    case.run("numpy")
