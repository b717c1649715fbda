import re
from pathlib import Path

import numpy as np
import pytest

from stackgrad.mnist.runs.folder import RunError
from stackgrad.mnist.runs.metrics import read_metrics, series


def message(folder: Path) -> str:
    with pytest.raises(RunError) as caught:
        read_metrics(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_lines_of_a_run(trained: Path) -> None:
    rows = read_metrics(trained)
    assert [row["step"] for row in rows] == [1, 50, 100, 150, 200, 237]
    steps, loss = series(rows, "loss")
    assert steps.tolist() == [1, 50, 100, 150, 200]
    assert loss.tolist() == [row["loss"] for row in rows[:-1]]
    assert series(rows, "test_accuracy")[0].tolist() == [237]
    assert [array.shape for array in series(rows, "nothing")] == [(0,), (0,)]


def test_values_that_are_not_finite_are_left_out() -> None:
    rows = [{"step": step, "x": value} for step, value in enumerate([1, None, "2", True, float("nan"), [3], 4.5])]
    steps, values = series(rows, "x")
    assert (steps.tolist(), values.tolist()) == ([0, 6], [1, 4.5])
    assert steps.dtype == values.dtype == np.float64


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"step": 1}\n{"step":', "metrics.jsonl: damaged: line 2: Expecting value"),
        (b'{"step": 1}\n\n', "metrics.jsonl: damaged: line 2: Expecting value"),
        (b"[1]\n", r"metrics.jsonl: damaged: line 1 is \[1\], expected an object with a step"),
        (b'{"loss": 1}\n', r'metrics.jsonl: damaged: line 1 is {"loss": 1}, expected an object with a step'),
        (b'{"step": "1"}\n', "damaged: line 1 is"),
        (b'{"step": 0}\n', "damaged: line 1 is"),
        (b'{"step": 1e300}\n', "damaged: line 1 is"),
        (b"[" * 100_000, "damaged: line 1: .*recursion"),
        (b"\xff\n", "metrics.jsonl: cannot be read .*utf-8"),
    ],
)
def test_damaged(content: bytes, expected: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(content)
    assert re.search(expected, message(tmp_path))


def test_missing(tmp_path: Path) -> None:
    assert message(tmp_path) == f"{tmp_path}: no metrics.jsonl there; expected the folder of a finished run"
    (tmp_path / "metrics.jsonl").mkdir()
    assert message(tmp_path) == f"{tmp_path}/metrics.jsonl: cannot be read (Is a directory)"
