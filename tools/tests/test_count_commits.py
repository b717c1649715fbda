"""The report on the counts of two commits, and recorded counts."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import _counts
from benchmarks._counts import Counted
from tools import count_commits, count_table, recorded_counts
from tools.callgrind import Counts
from tools.count_commits import Comparison, Recorded, Side, report

ADD, EXP, OLD = Counts(20_000, 500, 0), Counts(50_000, 800, 10), Counts(9_000, 0, 0)


def side(errors: dict[str, str] | None = None, **counts: Counts) -> Recorded:
    made = Recorded(counts)
    made.errors = errors or {}
    return made


def reported(base: Recorded, head: Recorded, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    status = report(Comparison(base, head))
    return status, capsys.readouterr().out.splitlines()


def test_equal_counts_are_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(side(add=ADD, exp=EXP), side(add=ADD, exp=EXP), capsys) == (
        0,
        ["2 benchmarks compared, 0 grew, 0 failing"],
    )


def test_counts_that_grew_fail_and_counts_that_shrank_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = reported(
        side(add=ADD, exp=EXP), side(add=Counts(22_000, 500, 0), exp=Counts(40_000, 800, 10)), capsys
    )
    assert status == 1
    assert lines[:2] == [
        "less: exp: instructions 50,000 -> 40,000 (-20.0%)",
        "GREW: add: instructions 20,000 -> 22,000 (+10.0%)",
    ]


def test_a_benchmark_with_a_wider_limit(capsys: pytest.CaptureFixture[str]) -> None:
    base, head = side(add=ADD), side(add=Counts(22_000, 500, 0))
    head.limits = {"add": 0.2}
    assert reported(base, head, capsys)[0] == 0


def test_beside_recorded_counts_the_limit_of_a_call_is_not_tighter(capsys: pytest.CaptureFixture[str]) -> None:
    base, head = side(add=ADD), side(add=Counts(20_500, 500, 0))
    head.limits = {"add": 0.01}
    assert reported(base, head, capsys)[0] == 0
    base.limits = {"add": 0.01}  # now base is a commit that was counted too
    assert reported(base, head, capsys)[0] == 1


def counted(**counts: Counts) -> Side:
    made = object.__new__(Side)
    made.commit, made.packages, made.limits = "0123", {}, dict.fromkeys(counts, 0.03)
    made.counts, made.again, made.errors = counts, {}, {}
    return made


@pytest.mark.parametrize("head_first", [20_900, 19_000])
@pytest.mark.parametrize(("head_again", "verdict"), [(20_900, ""), (21_800, "GREW"), (20_000, "less")])
def test_only_new_counts_of_both_commits_decide(
    head_first: int,
    head_again: int,
    verdict: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The first counts were taken beside other benchmarks, and some of those had stored counts for one commit only."""
    new = [Counted({"add": Counts(count, 500, 0)}, {}) for count in (20_900, head_again)]
    layouts: list[int] = []

    def count(wanted: object, layout: int) -> list[Counted]:
        layouts.append(layout)
        return new

    monkeypatch.setattr(_counts, "count", count)
    comparison = Comparison(counted(add=ADD), counted(add=Counts(head_first, 500, 0)))
    comparison.count()
    assert report(comparison) == (verdict == "GREW")
    *_, said, _ = ["", *capsys.readouterr().out.splitlines()]
    assert said.startswith(f"{verdict}: add: " if verdict else "1 seem to have changed")
    assert layouts == ([1, 2, 3] if verdict else [1])


def test_benchmarks_of_only_one_commit_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = reported(side({"new": "no such op"}, add=ADD, old=OLD), side(add=ADD, new=EXP), capsys)
    assert status == 0
    assert lines[:2] == ["only on HEAD: new (no such op)", "only on BASE: old"]


def test_a_benchmark_that_fails_on_head_fails(capsys: pytest.CaptureFixture[str]) -> None:
    status, lines = reported(side(add=ADD, exp=EXP), side({"exp": "TypeError: x"}, add=ADD), capsys)
    assert status == 1
    assert "FAILS on HEAD: exp: TypeError: x" in lines


def test_nothing_to_compare_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported(side(old=OLD), side(new=EXP), capsys)[0] == 2


def test_first_rows() -> None:
    names = ["a.time_x('exp', 1)", "a.time_x('log', 1)", "a.time_y", "b.count_z('m')", "b.count_z('n')", "import p"]
    assert recorded_counts.first_rows(names) == ["a.time_x('exp', 1)", "a.time_y", "b.count_z('m')", "import p"]


def test_recorded_counts_are_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_counts, "FILE", tmp_path / "counts.json")
    recorded_counts.write({"numpy": "2.4.6"}, {"b": EXP, "a": Counts(20_000.4, 500.0, 0.0)})
    assert recorded_counts.read() == ({"numpy": "2.4.6"}, {"a": ADD, "b": EXP})
    text = recorded_counts.FILE.read_text(encoding="utf-8")
    assert [*json.loads(text)["counts"]] == ["a", "b"]
    assert '\n    "a": [20000, 500, 0],\n' in text


def test_different_versions() -> None:
    recorded = {"numpy": "2.4.6", "valgrind": "3.19.0"}
    assert recorded_counts.difference(recorded, dict(recorded)) == ""
    here = {"numpy": "2.5.0", "valgrind": "3.19.0", "libc": "glibc 2.36"}
    assert recorded_counts.difference(recorded, here) == "libc none, here glibc 2.36; numpy 2.4.6, here 2.5.0"


def test_without_valgrind_nothing_is_counted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(count_commits, "missing", lambda: "there is no valgrind")
    monkeypatch.setattr(sys, "argv", ["count_commits", "HEAD"])
    assert count_commits.main() == 2
    assert capsys.readouterr().err == "there is no valgrind\n"


def test_tables_of_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {
        "bench_elementwise.time_float32('exp', '1e3', 'cpu')": Counts(22_000, 0, 0),
        "bench_elementwise.time_float32('exp', '1e6', 'cpu')": Counts(218_000, 0, 0),
        "bench_elementwise.time_float64('exp', 'cpu')": Counts(418_000, 0, 0),
        "bench_calls.count_call('x + y')": Counts(23_738, 0, 0),
        "import stackgrad.nn": Counts(66_926_936, 0, 0),
    }
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{count_table.BEGIN}\nold\n{count_table.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(count_table, "DOCUMENT", document)
    count_table.write(count_table.tables(counts, {"python": "3.11.7 (main)"}))
    lines = document.read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[-1], "old" in lines) == ("before", "after", False)
    assert {
        "Counted with python 3.11.7.",
        "| exp | 4.00 | 8.00 |  |  |",
        "| x + y | 23,738 |",
        "| import stackgrad.nn | 66,926,936 |",
    } <= set(lines)
    document.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="expected the marks"):
        count_table.write("")
