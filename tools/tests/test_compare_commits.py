"""A comparison of two commits: which benchmarks are measured, and how often."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tools import affected, compare_commits, instructions
from tools.compare_commits import measure, to_measure
from tools.slower import FRESH_ROUNDS, LEAST_ROUNDS, MOST_ROUNDS, undecided


class Fake:
    """A comparison whose rounds take `seconds` each, and in which the benchmark "slow" is slower."""

    def __init__(self, names: list[str], seconds: float = 0.0, fresh: tuple[float, ...] = (1.5,)) -> None:
        self.base, self.head, self.clock = "base", "head", 0.0
        self._names, self._seconds, self._fresh = names, seconds, fresh
        self.counted: dict[str, int] = dict.fromkeys(names, 0)
        self.again: dict[str, list[float]] = {}
        self.left_out: list[str] = []
        self.chosen: list[str] = []

    def names(self) -> list[str]:
        return self._names

    def measure(self, names: list[str], first: int, rounds: int = 1, fresh: bool = False) -> None:
        self.clock += self._seconds * len(names) * rounds
        for name in names:
            for _ in range(rounds):
                if fresh:
                    times = self.again.setdefault(name, [])
                    times.append(self._fresh[len(times) % len(self._fresh)])
                else:
                    self.counted[name] += 1

    def leave_out(self, names: list[str]) -> None:
        self.left_out += names

    def undecided(self) -> list[str]:
        times = self.again.get("slow", [])
        return ["slow"] if "slow" in self._names and undecided([1.0] * len(times), times) else []

    def touched(self, names: list[str]) -> dict[str, object]:
        return dict.fromkeys(names)

    def prepared(self, names: list[str], end: float, reasons: object = None) -> list[str]:
        self.chosen = names
        return names


def test_with_enough_time_all_are_measured_in_all_rounds():
    comparison: Any = Fake(["a", "b"])
    measure(comparison, ["a", "b"], LEAST_ROUNDS, float("inf"))
    assert comparison.counted == {"a": LEAST_ROUNDS, "b": LEAST_ROUNDS}
    assert comparison.left_out == []


def test_without_enough_time_the_last_are_left_out(monkeypatch):
    names = [f"n{i}" for i in range(40)]
    comparison: Any = Fake(names, seconds=1.0)
    monkeypatch.setattr(compare_commits, "time", SimpleNamespace(monotonic=lambda: comparison.clock))
    measure(comparison, names, LEAST_ROUNDS, 120.0)
    assert [name for name in names if comparison.counted[name] == LEAST_ROUNDS] == names[:10]
    assert comparison.left_out == names[10:]
    assert comparison.clock == 80.0


@pytest.mark.parametrize(("fresh", "rounds"), [((1.5,), FRESH_ROUNDS + 1), ((1.0,), 6), ((1.5, 1.5, 1.0), MOST_ROUNDS)])
def test_new_rounds_continue_until_they_decide(fresh, rounds):
    comparison: Any = Fake(["slow", "b"], fresh=fresh)
    measure(comparison, ["slow", "b"], LEAST_ROUNDS, float("inf"))
    assert {name: len(times) for name, times in comparison.again.items()} == {"slow": rounds}


@pytest.fixture
def commits(monkeypatch):
    def differ(files: list[str], changed: set[tuple[str, str]], hit: set[str]) -> Any:
        reason = affected.Reason(frozenset({("p", "f")}), frozenset(), 0.5)
        reasons = SimpleNamespace(changed=changed, of=lambda name: reason if name in hit else None)
        monkeypatch.setattr(affected, "changed_files", lambda base, head: files)
        monkeypatch.setattr(affected, "kernels_are_recorded", lambda commit: True)
        monkeypatch.setattr(affected, "tree_of", lambda commit: commit)
        monkeypatch.setattr(affected, "Reasons", lambda base, head: reasons)
        comparison: Any = Fake(["m.a(1)", "m.b(1)"])
        comparison.touched = lambda names: {name: name for name in names}
        return comparison

    return differ


def test_a_change_of_documents_is_not_measured(commits, capsys):
    comparison = commits(["docs/x.md"], set(), set())
    assert to_measure(comparison, "", False, float("inf")) == []
    assert capsys.readouterr().out == "nothing to measure: no code of the packages changed, only docs/x.md\n"


def test_code_that_no_benchmark_executes_is_not_measured(commits, capsys):
    assert to_measure(commits(["x.py"], {("p.py", "f")}, set()), "", False, float("inf")) == []
    assert "nothing to measure: no benchmark executes what changed" in capsys.readouterr().out


def test_benchmarks_that_execute_the_change_are_measured(commits, capsys):
    assert to_measure(commits(["x.py"], {("p.py", "f")}, {"m.b(1)"}), "", False, float("inf")) == ["m.b(1)"]
    assert "changed: p:f\n1 of 2 benchmarks execute it" in capsys.readouterr().out


@pytest.mark.parametrize(("files", "whole"), [(["pyproject.toml"], False), ([], True)])
def test_all_are_measured_where_anything_may_have_changed_or_when_asked(files, whole, commits):
    assert to_measure(commits(files, set(), set()), "", whole, float("inf")) == ["m.a(1)", "m.b(1)"]
    assert to_measure(commits(files, set(), set()), "b", whole, float("inf")) == ["m.b(1)"]


def test_all_are_measured_on_a_base_whose_kernels_are_not_recorded(commits, monkeypatch, tmp_path, capsys):
    comparison = commits(["x.py"], {("p.py", "f")}, set())
    monkeypatch.undo()
    monkeypatch.setattr(affected, "changed_files", lambda base, head: ["x.py"])
    monkeypatch.setattr(affected, "unpacked", lambda commit: tmp_path)
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "_kernel.py").write_text("class Kernel:\n    pass\n")
    assert to_measure(comparison, "", False, float("inf")) == ["m.a(1)", "m.b(1)"]
    assert "all benchmarks: which of them run a kernel cannot be seen" in capsys.readouterr().out


def test_a_pattern_that_matches_nothing_is_an_error(commits):
    with pytest.raises(SystemExit) as error:
        to_measure(commits([], set(), set()), "c", False, float("inf"))
    assert error.value.code == 2


def test_instructions_of_suspects(monkeypatch, tmp_path):
    counts = [SimpleNamespace(counts={"f(1)": SimpleNamespace(instructions=n)}) for n in (100, 130)]
    sides = iter(counts)
    asked: list[str] = []

    def side(commit, pattern, again):
        asked.append(pattern)
        return next(sides)

    comparison = SimpleNamespace(
        base=counts[0], head=counts[1], compared=lambda: ["f(1)"], count=lambda: asked.append("count")
    )
    monkeypatch.setattr(instructions, "missing", lambda: "")
    monkeypatch.setattr(instructions, "Side", side)
    monkeypatch.setattr(instructions, "Comparison", lambda *sides: comparison)
    monkeypatch.setattr(instructions, "KEPT", tmp_path)
    assert instructions.ratios("base", "head", ["f(1)"], may_count=False) == {}
    (tmp_path / "kept.json").write_text("{}")
    assert instructions.ratios("base", "head", ["f(1)"], may_count=False) == {"f(1)": 1.3}
    assert asked == [r"^f\(1\)$"] * 2
    assert instructions.ratios("base", "head", [], may_count=True) == {}
    monkeypatch.setattr(instructions, "missing", lambda: "no valgrind")
    assert instructions.ratios("base", "head", ["f(1)"], may_count=True) == {}
