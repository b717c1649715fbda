"""The planted slowdowns fit the tree, and their results are read and written correctly."""

import ast
import re

import pytest

from benchmarks._peers.load import busy
from benchmarks._pipe import ROOT
from tools import planted
from tools.callgrind import Counts
from tools.planted import Named, Outcome, Plant, named, named_in_pairs, plants, row, rows

ALL = plants()


def test_there_are_at_least_twenty_with_unique_names():
    assert len({plant.name for plant in ALL}) == len(ALL) >= 20


@pytest.mark.parametrize("plant", ALL, ids=[plant.name for plant in ALL])
def test_its_text_occurs_once_and_the_result_is_python(plant):
    source = (ROOT / plant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(planted.planted(plant, source))) != ast.dump(ast.parse(source))
    re.compile(plant.touches)
    re.compile(plant.aims)


@pytest.mark.parametrize("source", ["", "a = 1\na = 1\n"])
def test_a_text_that_does_not_occur_once_is_refused(source):
    with pytest.raises(ValueError, match="expected once"):
        planted.planted(Plant("p", "", "f.py", "a = 1\n", "a = 2\n", ".", "."), source)


LINE = "  1.29x        16.7 ->       21.5 us  slower by more than 5% in 7 of 7 rounds  bench_x.time_y('a b', 1)"


@pytest.mark.parametrize("what", ["SLOWER", "UNCONFIRMED"])
@pytest.mark.parametrize("end", ["", "  [instructions 1.00x: memory order, threads or the machine]"])
def test_names_are_read_from_a_report_of_times(what, end):
    assert named(f"{LINE}\n{what}: {LINE}{end}\n3 compared") == [Named(what, "bench_x.time_y('a b', 1)", 1.29)]


def test_names_are_read_from_a_report_of_counts():
    text = "less: a(1): instructions 5 -> 4 (-20.0%)\nGREW: b('x: y', '64x10'): instructions 100 -> 110 (+10.0%), data"
    assert named(text) == [Named("GREW", "b('x: y', '64x10')", 1.1)]
    assert named("FAILS on HEAD: a(1): ValueError: no") == [Named("FAILS on HEAD", "a(1)", None)]


def test_other_names_are_false_alarms():
    plant = Plant("p", "a copy", "f.py", "", "", r"time_y\(", ".")
    found = [Named("SLOWER", "time_y(1)", 1.1), Named("SLOWER", "time_y(2)", 1.29), Named("SLOWER", "time_z(1)", 2.0)]
    text = "| a copy | yes | 1.29x | time_y(2) and 1 more | time_z(1) | 8 | 61 s |"
    assert row(plant, Outcome(1, found, 61.4, 7.9)) == text
    assert row(plant, Outcome(0, [], 3.0, 1.0)) == "| a copy | no |  |  | none | 1 | 3 s |"
    assert "| unconfirmed |" in row(plant, Outcome(3, [Named("UNCONFIRMED", "time_y(1)", 1.2)], 3.0, 1.0))


def test_the_benchmarks_that_are_counted_for_a_plant():
    names = ["a.time_x('add', 1)", "a.time_x('add', 2)", "a.time_x('sub', 1)", "a.time_z('sub', 2)", "b.time_y(1, 1)"]
    names += ["b.time_y(1, 2)", "b.time_y(2, 2)", "b.time_w()", "import c"]
    plant = Plant("p", "a copy", "f.py", "", "", r"'sub'|time_y", r"time_y\(2")
    assert rows(plant, names) == [names[i] for i in (0, 2, 3, 4, 6)]


def test_a_table_keeps_the_rows_of_other_plants():
    first, second = (f"| {plant.what} | yes | 1.10x | a | none | 1 | 3 s |" for plant in ALL[:2])
    text = planted.table([second], planted.table([first.replace("yes", "no")], ""))
    assert text.startswith("1 of 2 found, false alarms in 0.\n")
    assert planted.table([first], text).splitlines()[-2:] == [first, second]


def test_a_table_is_written_between_its_marks(tmp_path, monkeypatch):
    document = tmp_path / "performance.md"
    document.write_text("a\n<!-- planted: times -->\nold\n<!-- end of planted: times -->\nb\n")
    monkeypatch.setattr(planted, "DOCUMENT", document)
    planted.write("times", lambda old: f"{old.strip()} and new\n")
    assert document.read_text() == "a\n<!-- planted: times -->\n\nold and new\n\n<!-- end of planted: times -->\nb\n"
    with pytest.raises(ValueError, match="no line '<!-- planted: counts -->'"):
        planted.write("counts", str)


def test_pairs_of_counts_of_one_commit():
    steady = [{"f": Counts(10_000 + i, 100, 10)} for i in range(5)]
    assert named_in_pairs(steady, {"f": 0.03}) == []
    odd = [{"f": Counts(11_000, 100, 10)}, *steady[1:]]  # the second count is like the others
    assert named_in_pairs(odd, {"f": 0.03}) == []
    assert named_in_pairs(odd[::-1], {"f": 0.03}) == []
    low = [{"f": Counts(9_000, 100, 10)}, *steady]  # the first counts do not decide
    assert named_in_pairs(low, {"f": 0.03}) == []
    apart = [low[0], steady[0]] * 3  # every second count is higher, however often it is repeated
    assert named_in_pairs(apart, {"f": 0.03}) != []
    assert named_in_pairs(apart, {"f": 0.20}) == []


def test_the_load_ends_with_the_block():
    with busy(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)
