"""The comparison with PyTorch: tolerances, which of PyTorch's layouts counts, and the tables."""

import numpy as np
import pytest

from benchmarks._peers.load import Others
from benchmarks._peers.side import dropout_facts, largest_difference
from benchmarks._peers.table import DOZEN, Limits, Row, a_dozen, put_between, tables
from benchmarks._peers.works import Work, works

LIMITS = Limits(gflops=100, gigabytes=10)


def row(**given):
    work = Work("convolution", "3x3", "conv", ("3x3",), target=1.2, flops=1e9)
    ours = {"called": [0.04, 0.02, 0.01], "captured": [0.025]}
    return Row(work, **{"ours": ours, "theirs": {"NCHW": [0.05], "channels last": [0.03]}, **given})


def test_the_medians_and_the_better_layout_count():
    assert row().best == ("channels last", 0.03)
    assert row().ratio == pytest.approx(1.5)
    line = "| 3x3 | 20 ms | 25 ms | 30 ms (channels last) | 1.50x | 1.20x | 1.2x | 50.0 GFLOP/s, 50% |\n"
    assert row().line(LIMITS) == line


def test_a_missed_target_and_a_disturbed_row_are_marked():
    line = row(ours={"called": [0.06], "captured": [0.05]}, others=0.2).line(LIMITS)
    assert "0.50x | 0.60x | 1.2x, missed" in line
    assert "3x3 (disturbed)" in line


def test_tables_give_the_geometric_mean():
    rows = [row(ours={"called": [0.12], "captured": [seconds]}) for seconds in (0.015, 0.06)]
    text = tables(rows, LIMITS)
    beside = "(0.25x where we are called from Python)"
    assert f"Geometric mean 1.00x (target 2x) {beside}, least 0.50x; 1 of 2 rows miss their target." in text
    assert (
        "| work | ours, called | ours, captured | PyTorch | ratio, called | ratio, captured | target | limit |" in text
    )


def test_a_table_of_one_form():
    work = Work("inference", "lenet5", "inference", (), forms=("called",))
    text = tables([Row(work, ours={"called": [0.01]}, theirs={"": [0.02]})], LIMITS)
    assert "Geometric mean 2.00x, least 2.00x" in text
    assert "| work | ours | PyTorch | ratio | target | limit |" in text


def test_the_short_table_has_a_dozen_rows():
    rows = [Row(work, {form: [0.02] for form in work.forms}, {"": [0.03]}) for work in works()]
    lines = a_dozen(rows).splitlines()
    assert len(lines) == 2 + len(DOZEN) == 14
    assert "| convolution: 32x64x28x28 to 64, 3x3 pad 1 | called | 20 ms | 30 ms | 1.50x |" in lines


def test_differences_are_shares_of_the_largest_value():
    ours, theirs = [np.array([1.0, 100.0])], [np.array([2.0, 100.0])]
    assert largest_difference(ours, theirs) == pytest.approx(0.01)
    with pytest.raises(ValueError, match="not finite"):
        largest_difference([np.array([np.nan])], [np.array([np.nan])])
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(1,\)"):
        largest_difference(ours, [np.ones(1)])


def test_dropout_masks_agree_with_their_gradients():
    x, g = np.ones(1000), np.ones(1000)
    out = np.where(np.arange(1000) % 4, 1 / 0.75, 0.0)
    assert dropout_facts(x, g, out, out)[0] == pytest.approx([1 / 0.75] * 2)
    with pytest.raises(ValueError, match="in the gradient"):
        dropout_facts(x, g, out, out[::-1])


def test_the_table_goes_between_its_marks():
    text = "a\n<!-- t -->\nold\n<!-- end of t -->\nb\n"
    assert put_between(text, "t", "new\n") == "a\n<!-- t -->\n\nnew\n\n<!-- end of t -->\nb\n"
    with pytest.raises(ValueError, match="cannot insert the table"):
        put_between("a", "t", "new")


def test_the_share_of_other_processes(monkeypatch):
    clock, busy, own = [0.0], [0.0], [0.0]
    monkeypatch.setattr("benchmarks._peers.load.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("benchmarks._peers.load.busy_seconds", lambda: busy[0])
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    others = Others(lambda: own[0])
    clock[0], busy[0], own[0] = 10.0, 15.0, 14.0
    assert others.share() == pytest.approx(0.05)


def test_names_of_works_are_unique():
    names = [f"{work.group}: {work.name}" for work in works()]
    assert len(names) == len(set(names))
