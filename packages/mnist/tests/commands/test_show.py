import json
import re
from pathlib import Path
from typing import Any

from stackgrad.mnist.pictures import PICTURES

Cli = Any


def test_show(run: Path, cli: Cli) -> None:
    out = cli("show", run, "--backend", "numpy").good()
    first, *shown, last = out.splitlines()
    assert (first, last) == ("run: course on tiny, backend numpy", "pictures in run/report.html")
    assert [re.fullmatch(r"pictures/(\w+)\.png: \S.*", one)[1] for one in shown] == list(PICTURES)  # type: ignore[index]
    assert all((run / f"pictures/{name}.png").read_bytes().startswith(b"\x89PNG") for name in PICTURES)
    assert (run / "report.html").exists()


def test_show_as_json(run: Path, cli: Cli) -> None:
    found = json.loads(cli("show", run, "--backend", "numpy", "--json", "--limit", 20).good())
    assert (found["run"], found["report"]) == ("run", "run/report.html")
    assert [one["file"] for one in found["pictures"]] == [f"run/pictures/{name}.png" for name in PICTURES]
    assert all(Path(one["file"]).exists() for one in found["pictures"])
    assert "of 20 test images" in found["pictures"][PICTURES.index("confusion")]["description"]


def test_names(run: Path, cli: Cli) -> None:
    out = cli("show", run, "--backend", "numpy", "--labels", ",".join("abcdefghij")).good()
    assert re.search(r"What two convolutions make of a, [b-h, ]+ and j\n", out)
    message = cli("show", run, "--backend", "numpy", "--labels", "a,b").error()
    assert message == "got 2 names of classes, but tiny has 10 classes"


def test_failures(run: Path, cli: Cli) -> None:
    assert cli("show", "away").error() == "away: no such folder; expected one that `stackgrad-mnist train` made"
    (run / "pictures").touch()
    assert cli("show", run, "--backend", "numpy").error(status=1) == "run/pictures: File exists"
    (run / "metrics.jsonl").write_text("{")
    assert cli("show", run, "--backend", "numpy").error().startswith("run/metrics.jsonl: damaged: line 1: ")
