"""Growth of counts, and noise."""

import pytest

from tools.callgrind import Counts
from tools.growth import gain, growth, least, limit_of

BASE = Counts(20_000, 1_000, 500)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (Counts(20_601, 1_000, 500), ["instructions 20,000 -> 20,601 (+3.0%)"]),
        (Counts(20_590, 1_000, 500), []),
        (Counts(20_000, 1_510, 500), ["data past the first level 1,000 -> 1,510 (+51.0%)"]),
        (Counts(20_000, 1_490, 990), []),  # a few cache lines of other code
        (Counts(20_000, 1_000, 5_000), ["data past the last level 500 -> 5,000 (+900.0%)"]),
        (Counts(10_000, 0, 0), []),
    ],
)
def test_limits(head: Counts, found: list[str]) -> None:
    assert growth(BASE, head) == found


def test_a_wider_limit_is_for_instructions_only() -> None:
    assert growth(BASE, Counts(21_900, 1_000, 500), 0.1) == []
    assert len(growth(BASE, Counts(22_100, 1_600, 500), 0.1)) == 2


@pytest.mark.parametrize(
    ("name", "more", "grew"),
    [
        ("bench_calls.count_call('x + y')", 316, True),  # one more method, as measured
        ("bench_calls.count_call('x + y')", 63, False),  # 0.3 %: another memory layout
        ("bench_elementwise.time_float32('exp', '1e3', 'cpu')", 316, True),
        ("bench_elementwise.time_float32('exp', '1e6', 'cpu')", 316, False),
    ],
)
def test_one_more_python_function_in_a_call(name: str, more: int, grew: bool) -> None:
    assert bool(growth(Counts(21_000, 784, 2), Counts(21_000 + more, 784, 2), limit_of(name))) is grew


def test_small_counts_do_not_grow() -> None:
    assert growth(Counts(200, 3, 0), Counts(290, 190, 150)) == []
    assert growth(Counts(0, 0, 0), Counts(101, 0, 0)) == ["instructions 0 -> 101"]


def test_misses_of_another_layout_are_not_growth() -> None:
    assert growth(Counts(162_674, 2_936, 10), Counts(162_674, 3_315, 10)) == []  # a product of 64x64, as measured


def test_a_gain_is_growth_in_reverse() -> None:
    assert gain(Counts(30_000, 1_000, 500), BASE) == ["instructions 30,000 -> 20,000 (-33.3%)"]
    assert gain(BASE, Counts(30_000, 1_000, 500)) == []


def test_least_of_each() -> None:
    assert least([Counts(5, 9, 1), Counts(6, 2, 1)]) == Counts(5, 2, 1)
