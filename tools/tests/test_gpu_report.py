"""The page that tools/gpu_check.py writes."""

from datetime import date

import pytest

from tools._gpu.report import Report, Speed


def report():
    return Report("a device", False, date(2026, 1, 2), "Python 3")


@pytest.mark.parametrize(
    ("ours", "other", "line"),
    [
        (900.0, 1000.0, "| add, GB/s | 900 | 1,000 | copy | 0.90 | 0.80 | yes |"),
        (700.0, 1000.0, "| add, GB/s | 700 | 1,000 | copy | 0.70 | 0.80 | no |"),
        (700.0, None, "| add, GB/s | 700 |  | copy |  | 0.80 |  |"),
        (None, None, "| add, GB/s |  |  | copy |  | 0.80 |  |"),
    ],
)
def test_values_that_were_not_measured_stay_empty(ours, other, line):
    assert Speed("add", "GB/s", ours, other, "copy", 0.8).line() == line


def test_a_page():
    made = report()
    made.check("cases", True, "all equal")
    made.check("sanitizer", None, "not installed")
    made.add(Speed("add", "GB/s", 1.0, 2.0, "copy", 0.8))
    made.add("A note.")
    text = made.text()
    assert text.startswith("# The cuda backend on a device\n\nBy `tools/gpu_check.py`, 2026-01-02. Python 3.\n")
    assert "| cases | good | all equal |\n| sanitizer | not tried | not installed |\n" in text
    assert text.endswith("| add, GB/s | 1 | 2 | copy | 0.50 | 0.80 | no |\n\nA note.\n")


def test_a_slow_workload_is_not_a_failure_but_a_wrong_one_is():
    made = report()
    made.add(Speed("add", "GB/s", 1.0, 2.0, "copy", 0.8))
    made.check("sanitizer", None, "not installed")
    assert not made.failed
    made.check("cases", False, "matmul")
    assert made.failed
    assert "| cases | **failed** | matmul |" in made.text()


def test_an_exception_is_a_failed_check_on_one_line():
    made = report()
    made.failure("speed", ValueError("a | b\nand so on"), "example 3: ")
    assert "| speed | **failed** | example 3: ValueError: a \\| b and so on |\n" in made.text()
