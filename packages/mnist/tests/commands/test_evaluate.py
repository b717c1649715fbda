import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

Cli = Any
NAMES = "zero,one,two,three,four,five,six,seven,eight,nine"


def test_json(trained: Path, cli: Cli) -> None:
    found = json.loads(cli("evaluate", trained, "--limit", 300, "--backend", "numpy", "--json").good())
    assert found["run"] == str(trained)
    assert (found["model"], found["data"], found["backend"], found["images"]) == ("lenet5", "MNIST", "numpy", 300)
    assert found["test_accuracy"] == found["correct"] / 300
    assert [each["name"] for each in found["classes"]] == list("0123456789")
    assert sum(each["correct"] for each in found["classes"]) == found["correct"]
    assert sum(each["images"] for each in found["classes"]) == 300


def test_named_classes(trained: Path, cli: Cli) -> None:
    out = cli("evaluate", trained, "--limit", 300, "--backend", "numpy", "--labels", NAMES).good()
    assert [text.split()[0] for text in out.splitlines()[2:]] == NAMES.split(",")
    message = cli("evaluate", trained, "--labels", "a,b", "--backend", "numpy").error()
    assert message == "got 2 names of classes, but MNIST has 10 classes"


def test_evaluate_uses_the_names_from_training(folder: Path, cli: Cli) -> None:
    Path("names.txt").write_text(NAMES.replace(",", "\n"))
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "run")
    cli("train", *options, "--labels", "names.txt").good()
    assert re.search(r"^  three +\d", cli("evaluate", "run", "--backend", "numpy").good(), re.MULTILINE)
    assert cli("train", *options, "--labels", "a,b,c").error() == "got 3 names of classes, but tiny has 10 classes"


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_evaluate_repeats_the_accuracy(backend: str, cli: Cli, trained: Path) -> None:
    accuracy = json.loads((trained / "summary.json").read_text())["test_accuracy"]
    assert accuracy > 0.9
    head, result, *classes = cli("evaluate", trained, "--backend", backend).good().splitlines()
    assert head == f"{trained}: lenet5 on MNIST, backend {backend}"
    assert result == f"test accuracy {accuracy:.2%} ({round(2500 * accuracy):,} of 2,500 images)"
    counts = [re.fullmatch(r"  (\d) +(\d+\.\d\d)% \((\d+) of (\d+)\)", text) for text in classes]
    assert [found[1] for found in counts if found] == list("0123456789")
    assert sum(int(found[3]) for found in counts if found) == round(2500 * accuracy)
    assert sum(int(found[4]) for found in counts if found) == 2500
    assert all(f"{100 * int(found[3]) / int(found[4]):.2f}" == found[2] for found in counts if found)


def test_evaluate_finds_the_data_of_the_run_from_any_folder(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("train", "--data", "data", "--epochs", 1, "--backend", "numpy", "--out", "run").good()
    accuracy = json.loads(Path("run/summary.json").read_text())["test_accuracy"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"test accuracy {accuracy:.2%} (" in cli("evaluate", "../run", "--backend", "numpy").good()
    shutil.rmtree(data)
    assert cli("evaluate", "../run", "--backend", "numpy").error().startswith(f"{data}: No such file or directory; ")


def test_evaluate_on_other_data(cli: Cli, trained: Path, folder: Path) -> None:
    out = cli("evaluate", trained, "--data", folder, "--backend", "numpy").good()
    assert out.startswith(f"{trained}: lenet5 on tiny, backend numpy\n")
    assert " of 50 images)\n" in out
    assert " of 7 images)\n" in cli("evaluate", trained, "--limit", 7, "--backend", "numpy").good()


def test_evaluate_uses_the_newest_run(cli: Cli, folder: Path) -> None:
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy")
    cli("train", *options, "--out", "runs/z").good()
    cli("train", *options, "--out", "runs/a", "--model", "course").good()
    assert cli("evaluate", "--backend", "numpy").good().startswith("runs/a: course on tiny")
