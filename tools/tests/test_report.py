"""The report of a comparison of two commits, and its exit status."""

from types import SimpleNamespace

import pytest

from tools.busy import summary
from tools.report import beside_counts, line, report

NAME = "bench_x.time_y('a', 1)"


def comparison(factor=1.0, fresh=7, failed=None, left_out=(), shares=(0.02,)):
    rounds = {NAME: ([1e-3] * 5, [factor * 1e-3] * 5)}
    return SimpleNamespace(
        rounds=rounds,
        fresh={NAME: ([1e-3] * fresh, [factor * 1e-3] * fresh)} if fresh else {},
        failed=failed or {},
        left_out=list(left_out),
        same=[],
        alone=False,
        shares=list(shares),
        suspects=lambda: [NAME] if factor > 1.05 else [],
    )


@pytest.mark.parametrize(
    ("factor", "fresh", "status", "verdict"),
    [(1.0, 0, 0, ""), (1.2, 7, 1, "SLOWER: "), (1.2, 0, 3, "UNCONFIRMED: "), (1.2, 4, 3, "UNCONFIRMED: ")],
)
def test_status_and_name(factor, fresh, status, verdict, capsys):
    assert report(comparison(factor, fresh)) == status
    lines = [found for found in capsys.readouterr().out.splitlines() if found.startswith(("SLOWER", "UNCONFIRMED"))]
    assert len(lines) == bool(verdict)
    assert all(found.startswith(verdict) and NAME in found for found in lines)


def test_an_error_on_head_fails_and_an_error_on_base_does_not(capsys):
    assert report(comparison(failed={"a": ("", "error")})) == 1
    assert report(comparison(failed={"a": ("error", "")})) == 0
    printed = capsys.readouterr().out
    assert "FAILS on HEAD: a: error" in printed
    assert "only on HEAD: a (error)" in printed


def test_benchmarks_that_are_left_out_are_reported(capsys):
    assert report(comparison(left_out=["bench_z.time_z()"])) == 0
    assert "LEFT OUT for lack of time: 1 of 2 affected" in capsys.readouterr().out


def test_the_printed_medians_agree_with_the_ratio():
    text = line(NAME, [1e-6, 1e-6, 3e-6, 3e-6], [2e-6, 2e-6, 4e-6, 4e-6])
    assert "1.50x         2.0 ->        3.0 us" in text


def test_how_busy_the_machine_was():
    assert summary([0.02, 0.5]) == "other processes used 26% of the cores; the machine was busy in 1 of 2 rounds"
    assert summary([None]) == "it is not known how busy the machine was"


@pytest.mark.parametrize(
    ("times", "counts", "expected"),
    [
        (1.5, 1.0, "[instructions 1.00x: memory order, threads or the machine]"),
        (1.5, 1.48, "[instructions 1.48x]"),
        (1.5, None, ""),
    ],
)
def test_counts_that_stay_while_the_time_grows(times, counts, expected):
    assert beside_counts(times, counts).strip() == expected
