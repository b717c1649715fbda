import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import stackgrad.mnist

Cli = Any
COMMANDS = ["train", "evaluate", "predict", "show", "serve", "data", "export"]


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS), ["data", "verify"], ["data", "fetch"]])
def test_help(command: list[str], option: str, cli: Cli) -> None:
    text = cli(*command, option).good()
    assert text.startswith(f"Usage: {' '.join(['stackgrad-mnist', *command])} ")
    assert max(map(len, text.splitlines())) <= 80
    assert "Examples:\n    stackgrad-mnist " in text
    assert not re.search(r"<=|>=|INTEGER|FLOAT|PATH|18446744073709551615", text)


def test_help_names_the_commands(cli: Cli) -> None:
    text = cli("--help").good()
    assert all(re.search(rf"^  {command} +[A-Z].*\.$", text, re.MULTILINE) for command in COMMANDS)
    assert "...\n" not in text.split("\n", 1)[1]  # no text is truncated


def test_help_of_train_gives_the_defaults(cli: Cli) -> None:
    text = " ".join(cli("train", "--help").good().split())
    for option in ("model", "backend", "seed", "epochs", "batch-size", "lr", "data", "emnist", "limit", "out"):
        assert f" --{option} " in text
    for default in ("lenet5", "cpu", "0", "a new one under ./runs"):
        assert re.search(rf"default: {re.escape(default)}[;\]]", text)
    assert len(re.findall(r"\[default: [0-9]", text)) == 5  # seed, checkpoints and the values of the recipes


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    result = cli()
    assert (result.stdout + result.stderr).startswith("Usage: stackgrad-mnist [OPTIONS] COMMAND")


def test_version(cli: Cli) -> None:
    assert cli("--version").good() == f"stackgrad-mnist, version {stackgrad.mnist.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, cli_process: Cli) -> None:
    asked = {"_STACKGRAD_MNIST_COMPLETE": f"{shell}_source"}
    assert "_STACKGRAD_MNIST_COMPLETE" in cli_process(**asked).good()


def test_completion_of_options(cli_process: Cli) -> None:
    asked = {"COMP_WORDS": "stackgrad-mnist train --optimizer ada", "COMP_CWORD": "3"}
    out = cli_process(_STACKGRAD_MNIST_COMPLETE="bash_complete", **asked).good()
    assert out.split() == ["plain,adamw", "plain,adam"]


def test_help_imports_nothing_large() -> None:
    code = "import sys; from stackgrad.mnist.cli import main; main(['--help'], standalone_mode=False)"
    large = {"numba", "llvmlite", "scipy", "stackgrad.kernels", "matplotlib", "tensorboardX"}
    code += f"; sys.exit(bool({large} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def _imported_by_a_run(backend: str, folder: Path) -> set[str]:
    """Those of the large packages that a process which trains imports."""
    code = "import sys; from stackgrad.mnist.cli import main; main(sys.argv[1:], standalone_mode=False)"
    code += "; sys.exit(' '.join({'numba', 'llvmlite', 'matplotlib', 'PIL', 'ssl'} & set(sys.modules)))"
    arguments = ("train", "--backend", backend, "--data", str(folder), "--epochs", "1", "--no-pictures")
    result = subprocess.run([sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True)
    return set(result.stderr.split())


def test_a_run_on_numpy_does_not_import_numba(folder: Path) -> None:
    assert _imported_by_a_run("numpy", folder) == set()


def test_a_run_whose_kernels_are_on_disk_does_not_import_numba(folder: Path) -> None:
    _imported_by_a_run("cpu", folder)
    assert _imported_by_a_run("cpu", folder) == {"llvmlite"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--foo"], "No such option"),
        (["trian"], "No such command 'trian'"),
        (["train", "--sed", "3"], "No such option"),
        (["train", "more"], "Got unexpected extra argument (more)"),
        (
            ["train", "--model", "resnet"],
            "for '--model': 'resnet' is not one of 'lenet5', 'course', 'convnet'",
        ),
        (["train", "--backend", "tpu"], "'tpu' is not one of 'cpu', 'cuda', 'numpy'"),
        (["train", "--seed", "-1"], "Invalid value for '--seed': '-1' is not a whole number, from 0 to 18,446,744,"),
        (["train", "--seed", str(2**64)], "'18446744073709551616' is not a whole number, from 0 to 18,446,744,"),
        (["train", "--seed", "9" * 5000], "' is not a whole number, from 0 to 18,446,744,"),
        (["train", "--epochs", "0"], "Invalid value for '--epochs': '0' is not a whole number, 1 or more"),
        (["train", "--epochs", "1.5"], "Invalid value for '--epochs': '1.5' is not a whole number, 1 or more"),
        (["train", "--batch-size", "big"], "Invalid value for '--batch-size': 'big' is not a whole number"),
        (["train", "--limit", "²"], "Invalid value for '--limit': '²' is not a whole number, 1 or more"),
        *((["train", "--lr", x], f"for '--lr': '{x}' is not a number above 0") for x in ("0", "-1", "nan", "inf", "x")),
        (["train", "--emnist", "latin", "--data", "."], "Invalid value for '--emnist': 'latin' is not one of "),
        (["train", "--emnist", "letters"], "--emnist letters needs --data DIR"),
        (["train", "--data"], "Option '--data' requires an argument"),
        (["evaluate", "a", "b"], "Got unexpected extra argument (b)"),
        (["evaluate", "--seed", "1"], "No such option"),
        (["predict"], "Missing argument 'IMAGE...'"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str, cli: Cli, tmp_path: Path) -> None:
    text = cli(*arguments).error()
    assert message in text
    if arguments != ["train", "--data"]:  # click's error does not know the command here
        assert re.search(r"\(see `stackgrad-mnist.* --help`\)$", text)
    assert not list(tmp_path.iterdir())
