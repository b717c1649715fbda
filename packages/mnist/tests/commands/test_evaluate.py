import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., subprocess.CompletedProcess[str]]
Result = subprocess.CompletedProcess[str]
NAMES = "zero,one,two,three,four,five,six,seven,eight,nine"


def good(result: Result) -> str:
    """What a command that succeeded wrote."""
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_json(trained: Path, cli: Cli) -> None:
    found = json.loads(good(cli("evaluate", trained, "--limit", 300, "--backend", "numpy", "--json")))
    assert found["run"] == str(trained)
    assert (found["model"], found["data"], found["backend"], found["images"]) == ("lenet5", "MNIST", "numpy", 300)
    assert found["test_accuracy"] == found["right"] / 300
    assert [each["name"] for each in found["classes"]] == list("0123456789")
    assert sum(each["right"] for each in found["classes"]) == found["right"]
    assert sum(each["images"] for each in found["classes"]) == 300


def test_named_classes(trained: Path, cli: Cli) -> None:
    out = good(cli("evaluate", trained, "--limit", 300, "--backend", "numpy", "--labels", NAMES))
    assert [text.split()[0] for text in out.splitlines()[2:]] == NAMES.split(",")
    result = cli("evaluate", trained, "--labels", "a,b", "--backend", "numpy")
    assert (result.returncode, result.stderr) == (2, "Error: 2 names of classes; MNIST has 10 classes\n")


def test_the_names_of_training_are_kept(folder: Path, cli: Cli) -> None:
    Path("names.txt").write_text(NAMES.replace(",", "\n"))
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "run")
    good(cli("train", *options, "--labels", "names.txt"))
    assert re.search(r"^  three +\d", good(cli("evaluate", "run", "--backend", "numpy")), re.MULTILINE)
    result = cli("train", *options, "--labels", "a,b,c")
    assert (result.returncode, result.stderr) == (2, "Error: 3 names of classes; tiny has 10 classes\n")
