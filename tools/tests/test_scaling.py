"""The formula for a step on several ranks, and the page with its tables."""

import numpy as np
import pytest

from tools import scaling
from tools.scaling import Compute, Network, dominates, exchange, fitted, page, predicted

HERE = Network("here", 1e-6, 1e9)
COMPUTE = Compute(1e-4, 1e-5, 250_000)


def test_one_rank_exchanges_nothing_and_many_send_the_gradients_twice():
    assert exchange(HERE, 1, 1e6) == 0
    assert exchange(HERE, 2, 1e6) == pytest.approx(2e-6 + 1e-3)
    assert exchange(HERE, 1000, 1e6) == pytest.approx(2 * 999e-6 + 2 * 0.999e-3)
    assert predicted(COMPUTE, HERE, 2, 64) == pytest.approx(1e-4 + 64e-5 + 2e-6 + 250e-6)


@pytest.mark.parametrize(("a", "b"), [(1e-4, 1e-5), (0.0, 3e-6), (2e-3, 1e-9)])
def test_a_fit_finds_the_coefficients(a, b):
    x = [1, 4, 16, 64, 256]
    assert fitted(x, [a + b * n for n in x]) == pytest.approx((a, b), rel=1e-6, abs=1e-12)


def test_the_coefficients_of_a_fit_are_not_negative():
    x = [1, 2, 3, 4]
    a, b = fitted(x, [n**2 * 1e-3 for n in x])
    assert a == 0
    assert b > 0


def test_the_rank_count_from_which_the_exchange_dominates():
    first = dominates(COMPUTE, HERE, 64)
    assert first is not None
    assert exchange(HERE, first - 1, COMPUTE.bytes) <= COMPUTE.of(64) < exchange(HERE, first, COMPUTE.bytes)
    assert dominates(COMPUTE, Network("none", 0.0, 1e30), 64) is None


def test_the_page_has_a_row_for_each_measurement():
    computes = dict.fromkeys(scaling.MODELS, COMPUTE)
    sums = {name: np.linspace(1e-6, 1e-3, len(scaling.SIZES)).tolist() for name in ("ours", "mpi4py")}
    text = page(computes, HERE, sums, {name: {1: 1e-3, 2: 2e-3, 4: 3e-3} for name in scaling.MODELS})
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 4 + 3 + len(scaling.SIZES) + 3 * 3 + 3 * 3
    tables = [line.count("|") for line in text.splitlines() if line.startswith("|---")]
    assert tables == [5, 5, 5, 12]
    assert "| lenet5 | 2 | 2 | 0.992 |" in text


def test_the_page_has_the_marks_around_its_tables():
    text = scaling.PAGE.read_text(encoding="utf-8")
    assert text.index(scaling.BEGIN) < text.index(scaling.END)
