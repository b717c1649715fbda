import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import stackgrad.mnist
from stackgrad.kernels.cuda import is_available
from stackgrad.mnist import Dataset
from stackgrad.mnist.evaluate import probabilities
from stackgrad.mnist.recipes import RECIPES
from stackgrad.mnist.runs import load_run, save_run

Cli = Callable[..., subprocess.CompletedProcess[str]]
Result = subprocess.CompletedProcess[str]

COMMANDS = ["train", "evaluate", "predict", "show", "serve", "data", "export"]
IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = (
    f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
)


def line(result: Result, status: int = 2) -> str:
    """The one line, without its start, of a command that failed in an orderly way."""
    assert result.returncode == status, result
    assert result.stderr.count("\n") == 1, result.stderr
    assert "Traceback" not in result.stdout
    start, message = result.stderr.split(" ", 1)
    assert start == "Error:"
    return message.rstrip("\n")


def good(result: Result) -> str:
    """What a command that succeeded wrote."""
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture
def data(folder: Path, tmp_path: Path) -> Path:
    """A copy of the small data set, to be damaged."""
    return Path(shutil.copytree(folder, tmp_path / "data"))


@pytest.fixture
def run(trained_course: Path, tmp_path: Path) -> Path:
    """A copy of a run, to be damaged."""
    return Path(shutil.copytree(trained_course, tmp_path / "run"))


@pytest.fixture
def picture(mnist: Dataset, tmp_path: Path) -> Path:
    Image.fromarray(mnist.test.images[0]).save(tmp_path / "seven.png")
    return Path("seven.png")


# Help


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS), ["data", "verify"], ["data", "fetch"]])
def test_help(command: list[str], option: str, cli: Cli) -> None:
    text = good(cli(*command, option))
    assert text.startswith(f"Usage: {' '.join(['stackgrad-mnist', *command])} ")
    assert max(map(len, text.splitlines())) <= 80
    assert "Examples:\n    stackgrad-mnist " in text
    assert not re.search(r"<=|>=|INTEGER|FLOAT|PATH|18446744073709551615", text)


def test_help_names_the_commands(cli: Cli) -> None:
    text = good(cli("--help"))
    assert all(re.search(rf"^  {command} +[A-Z].*\.$", text, re.MULTILINE) for command in COMMANDS)
    assert "...\n" not in text.split("\n", 1)[1]  # nothing is cut short


def test_help_of_train_gives_the_defaults(cli: Cli) -> None:
    text = " ".join(good(cli("train", "--help")).split())
    for option in ("model", "backend", "seed", "epochs", "batch-size", "lr", "data", "emnist", "limit", "out"):
        assert f" --{option} " in text
    for default in ("lenet5", "cpu", "0", "a new one under ./runs"):
        assert re.search(rf"default: {re.escape(default)}[;\]]", text)
    assert len(re.findall(r"\[default: [0-9]", text)) == 5  # seed, checkpoints and what the recipes say


def test_no_command_shows_the_help(cli: Cli) -> None:
    result = cli()
    assert (result.stdout + result.stderr).startswith("Usage: stackgrad-mnist [OPTIONS] COMMAND")


def test_version(cli: Cli) -> None:
    assert good(cli("--version")) == f"stackgrad-mnist, version {stackgrad.mnist.__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, cli_process: Cli) -> None:
    asked = {"_STACKGRAD_MNIST_COMPLETE": f"{shell}_source"}
    assert "_STACKGRAD_MNIST_COMPLETE" in good(cli_process(**asked))


def test_completion_of_options(cli_process: Cli) -> None:
    asked = {"COMP_WORDS": "stackgrad-mnist train --optimizer ada", "COMP_CWORD": "3"}
    out = good(cli_process(_STACKGRAD_MNIST_COMPLETE="bash_complete", **asked))
    assert out.split() == ["plain,adamw", "plain,adam"]


def test_help_imports_nothing_large() -> None:
    code = "import sys; from stackgrad.mnist.cli import main; main(['--help'], standalone_mode=False)"
    large = {"numba", "llvmlite", "scipy", "stackgrad.kernels", "matplotlib", "tensorboardX"}
    code += f"; sys.exit(bool({large} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_run_on_numpy_does_not_import_numba(folder: Path) -> None:
    code = "import sys; from stackgrad.mnist.cli import main; main(sys.argv[1:], standalone_mode=False)"
    code += "; sys.exit(bool({'numba', 'llvmlite', 'matplotlib'} & set(sys.modules)))"
    arguments = ("train", "--backend", "numpy", "--data", str(folder), "--epochs", "1", "--no-pictures")
    result = subprocess.run([sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


# Arguments


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
        (["train", "--seed", "-1"], "Invalid value for '--seed': '-1' is not a whole number, 0 to 18,446,744,"),
        (["train", "--seed", str(2**64)], "'18446744073709551616' is not a whole number, 0 to 18,446,744,"),
        (["train", "--seed", "9" * 5000], "' is not a whole number, 0 to 18,446,744,"),
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
    text = line(cli(*arguments))
    assert message in text
    if arguments != ["train", "--data"]:  # here click forgets which command it was
        assert re.search(r"\(see `stackgrad-mnist.* --help`\)$", text)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["train"], ["evaluate"], ["predict", "a.png"]])
def test_backend_from_the_environment(command: list[str], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STACKGRAD_BACKEND", "tpu")
    text = line(cli(*command))
    assert re.match(r"Invalid value for '--backend'.*: 'tpu' is not one of 'cpu', 'cuda', 'numpy'", text)


@pytest.mark.parametrize(("options", "expected"), [([], "numpy"), (["--backend", "cpu"], "cpu")])
def test_the_option_goes_before_the_environment(
    options: list[str], expected: str, cli: Cli, monkeypatch: pytest.MonkeyPatch, trained: Path
) -> None:
    monkeypatch.setenv("STACKGRAD_BACKEND", "numpy")
    out = good(cli("evaluate", trained, "--limit", 5, *options))
    assert out.startswith(f"{trained}: lenet5 on MNIST, backend {expected}\n")


def test_backend_that_does_not_load(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise RuntimeError(f"backend {name!r} is installed but does not load:\nno LLVM")

    monkeypatch.setattr("stackgrad.mnist.commands._options.set_default_backend", broken)
    assert line(cli("train"), status=1) == "backend 'cpu' is installed but does not load: no LLVM"


# train


def test_train(cli: Cli, folder: Path, tmp_path: Path) -> None:
    out = good(cli("train", "--model", "course", "--data", folder, "--epochs", 2, "--seed", 7, "--backend", "numpy"))
    (run,) = (tmp_path / "runs").iterdir()
    summary = json.loads((run / "summary.json").read_text())
    assert re.fullmatch(
        r"course on tiny: 100 training images, backend numpy, seed 7\n"
        r"trained in [\d.]+ s, [\d,]+ images per second; written to runs/\d{8}-\d{6}-course\n"
        rf"test accuracy {summary['test_accuracy']:.2%} on 50 images\n",
        out,
    )
    assert summary["arguments"] == {
        "model": "course",
        "backend": "numpy",
        "seed": 7,
        "epochs": 2,
        "batch_size": 64,
        "lr": RECIPES["course"].lr,
        "optimizer": "adamw",
        "schedule": "one-cycle",
        "augment": False,
        "patience": None,
        "data": str(folder),
        "emnist": None,
        "limit": None,
        "labels": None,
        "out": f"runs/{run.name}",
        "checkpoint_every": 1000,
    }
    assert (summary["epochs"], summary["batch_size"], summary["seed"], summary["backend"]) == (2, 64, 7, "numpy")
    names = sorted(path.name for path in run.iterdir() if path.name != ".lock")
    assert names == ["checkpoints", "metrics.jsonl", "model.safetensors", "summary.json"]


def test_options_of_train(cli: Cli, data: Path, tmp_path: Path) -> None:
    options = (
        "--limit",
        30,
        "--epochs",
        3,
        "--batch-size",
        10,
        "--lr",
        0.5e-3,
        "--backend",
        "numpy",
        "--out",
        "my/run",
    )
    out = good(cli("train", "--data", "data", *options))
    assert out.startswith("lenet5 on data: 30 training images, backend numpy, seed 0\n")
    assert "written to my/run\n" in out
    assert out.endswith(" on 30 images\n")
    arguments = json.loads(Path("my/run/summary.json").read_text())["arguments"]
    assert (arguments["limit"], arguments["epochs"], arguments["batch_size"], arguments["lr"]) == (30, 3, 10, 0.0005)
    assert arguments["data"] == str(data)  # the run can be measured from any folder
    assert not Path("runs").exists()


def test_training_without_a_terminal_shows_no_bar(cli_process: Cli, folder: Path) -> None:
    out = good(cli_process("train", "--data", folder, "--epochs", 1, "--backend", "numpy"))
    assert out.count("\n") == 3
    assert "\r" not in out


def test_training_in_a_terminal_shows_a_bar(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    result = cli("train", "--data", folder, "--epochs", 2, "--batch-size", 10, "--backend", "numpy")
    assert result.returncode == 0
    first, *_, last = result.stderr.strip().split("\r")
    assert re.fullmatch(r"starting   0% \| +\| \? left", first)
    assert re.fullmatch(r"epoch 2/2 100% \|█+\| 00:00 left, loss \d\.\d{4}, [\d,]+ images/s", last)


def test_a_loss_that_is_no_number(cli: Cli, folder: Path, tmp_path: Path) -> None:
    result = cli("train", "--data", folder, "--epochs", 5, "--lr", 1e10, "--out", "bad")
    assert re.match(
        r"the loss is (nan|inf) at step \d, with learning rate \S+: try a lower --lr; "
        "the last good checkpoint is bad/checkpoints/step-00000000.safetensors$",
        line(result, status=1),
    )
    assert "test accuracy" not in result.stdout
    assert line(cli("evaluate", "bad")) == (
        "bad: this run is not finished; go on with `stackgrad-mnist train --resume bad`"
    )


def test_commands_give_ctrl_c_back(cli: Cli) -> None:
    before = signal.getsignal(signal.SIGINT)
    line(cli("evaluate"))
    assert signal.getsignal(signal.SIGINT) is before


def test_a_full_disk(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "run/model.safetensors")

    with monkeypatch.context() as patch:
        patch.setattr("stackgrad.mnist.train.save_run", full)
        result = cli("train", "--data", folder, "--epochs", 1, "--backend", "numpy", "--out", "run")
    assert line(result, status=1) == (
        "run/model.safetensors: cannot be written (No space left on device); the last good checkpoint is "
        "run/checkpoints/step-00000002.safetensors: make room, then `stackgrad-mnist train --resume run`"
    )
    assert "test accuracy" in good(cli("train", "--resume", "run"))


@pytest.mark.skipif(is_available(), reason="there is a GPU")
@pytest.mark.parametrize("command", [["train"], ["evaluate"], ["predict", "a.png"]])
def test_no_gpu(command: list[str], cli: Cli, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained, tmp_path / "runs/one")
    (tmp_path / "a.png").write_bytes(b"")
    text = line(cli(*command, "--backend", "cuda"), status=1)
    found = r"numba-cuda is not installed: pip install .*|found numba-cuda [\d.]+, but .*"
    assert re.fullmatch(rf"backend 'cuda' is installed but does not load: ({found})", text)


def test_out_of_memory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("stackgrad.mnist.commands._options.load", refuse)
    assert line(cli("train", "--backend", "numpy"), status=1) == "out of memory"


def test_nobody_reads_on(folder: Path, tmp_path: Path) -> None:
    code = "from stackgrad.mnist.cli import main; main()"
    reader, writer = os.pipe()
    os.close(reader)
    arguments = ("train", "--data", str(folder), "--epochs", "1", "--backend", "numpy")
    process = subprocess.run([sys.executable, "-c", code, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (process.returncode, process.stderr) == (1, "")


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("full", "full: the folder is not empty; name another with --out"),
        ("file", "file: is no folder; name another with --out"),
        ("file/below", "file/below: cannot write a run there (Not a directory); name another with --out"),
        ("a" * 300, "cannot write a run there (File name too long); name another with --out"),
    ],
)
def test_out_folder_that_cannot_be_used(out: str, message: str, cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/note").write_text("mine")
    (tmp_path / "file").write_text("mine")
    result = cli("train", "--data", folder, "--backend", "numpy", "--out", out)
    assert line(result).endswith(message)
    assert result.stdout == ""
    assert {path.name for path in tmp_path.iterdir()} == {"full", "file"}
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_out_folder_that_cannot_be_written(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    for out in ("locked", "locked/below"):
        message = line(cli("train", "--data", folder, "--backend", "numpy", "--out", out))
        assert message == f"{out}: cannot write a run there (Permission denied); name another with --out"


# Data


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def replace_by_text(path: Path) -> None:
    path.write_text("no images here")


def replace_by_float32(path: Path) -> None:
    path.write_bytes(b"\0\0\x0d\3" + path.read_bytes()[4:])


def replace_by_labels(path: Path) -> None:
    shutil.copy(path.with_name(LABELS), path)


def replace_by_nothing(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("command", ["train", "evaluate"])
@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (Path.unlink, TEST_LABELS, f"missing {TEST_LABELS} (looked for each as "),
        (cut, IMAGES, "truncated: the header promises 100x28x28 = 78,400 bytes, and the file has only 78,415"),
        (cut, LABELS, "truncated: the header promises 100 bytes"),
        (extend, TEST_IMAGES, "oversized: the header promises 50x28x28 = 39,200 bytes, and more follow"),
        (replace_by_labels, TEST_LABELS, f"mismatched: 100 labels; {TEST_IMAGES} holds 50 images"),
        (replace_by_text, IMAGES, "not an IDX file: it starts with the bytes 6e 6f 20 69, expected 00 00 08"),
        (replace_by_float32, IMAGES, "the elements are float32 (type 0d), expected uint8 (08)"),
        (replace_by_labels, IMAGES, "the array has 1 dimension (labels), expected 3 (images)"),
        (replace_by_nothing, LABELS, "the file is empty"),
    ],
)
def test_damaged_data(
    command: str, damage: Callable[[Path], None], name: str, message: str, cli: Cli, data: Path, run: Path
) -> None:
    damage(data / name)
    arguments = ["train", "--backend", "numpy"] if command == "train" else ["evaluate", str(run), "--backend", "numpy"]
    result = cli(*arguments, "--data", "data")
    text = line(result)
    assert text.startswith("data")
    assert name in text
    assert message.split(", and the")[0] in text
    assert result.stdout == ""
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("away", "away: No such file or directory; expected a folder with the four IDX files"),
        ("file", "file: Not a directory; expected a folder with the four IDX files"),
        ("empty", f"empty: missing {IMAGES}, {LABELS}, {TEST_IMAGES}, {TEST_LABELS} (looked for each as "),
    ],
)
def test_no_data(name: str, message: str, cli: Cli) -> None:
    Path("file").touch()
    Path("empty").mkdir()
    assert line(cli("train", "--data", name, "--backend", "numpy")).startswith(message)


def test_emnist_letters(cli: Cli, data: Path, folder: Path, run: Path) -> None:
    for path in data.iterdir():
        path.rename(data / f"emnist-letters-{path.name.replace('t10k', 'test')}")
    for path in data.glob("*labels*"):
        content = path.read_bytes()
        path.write_bytes(content[:8] + bytes(1 + i % 26 for i in range(len(content) - 8)))
    arguments = ("--data", "data", "--emnist", "letters", "--backend", "numpy")
    out = good(cli("train", *arguments, "--epochs", 1, "--out", "letters"))
    assert out.startswith("lenet5 on EMNIST letters: 100 training images")
    assert json.loads(Path("letters/summary.json").read_text())["classes"] == 27
    assert "letters: lenet5 on EMNIST letters" in good(cli("evaluate", "letters", "--backend", "numpy"))
    # Its classes hold those of the digits, but not the other way round.
    assert "lenet5 on tiny" in good(cli("evaluate", "letters", "--backend", "numpy", "--data", folder))
    assert line(cli("evaluate", run, *arguments)).startswith(
        f"{run}: trained for 10 classes, and EMNIST letters has 27: "
    )
    assert line(cli("train", *arguments[:2])).startswith(f"data: missing {IMAGES}")


def test_run_for_fewer_classes(cli: Cli, run: Path, data: Path) -> None:
    content = bytearray((data / TEST_LABELS).read_bytes())
    content[-1] = 25
    (data / TEST_LABELS).write_bytes(content)
    message = "run: trained for 10 classes, and data has 26: name the data it was trained on"
    assert line(cli("evaluate", "run", "--data", "data", "--backend", "numpy")) == message


# evaluate


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_evaluate_repeats_the_accuracy(backend: str, cli: Cli, trained: Path) -> None:
    accuracy = json.loads((trained / "summary.json").read_text())["test_accuracy"]
    assert accuracy > 0.9
    head, result, *classes = good(cli("evaluate", trained, "--backend", backend)).splitlines()
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
    good(cli("train", "--data", "data", "--epochs", 1, "--backend", "numpy", "--out", "run"))
    accuracy = json.loads(Path("run/summary.json").read_text())["test_accuracy"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"test accuracy {accuracy:.2%} (" in good(cli("evaluate", "../run", "--backend", "numpy"))
    shutil.rmtree(data)
    assert line(cli("evaluate", "../run", "--backend", "numpy")).startswith(f"{data}: No such file or directory; ")


def test_evaluate_on_other_data(cli: Cli, trained: Path, folder: Path) -> None:
    out = good(cli("evaluate", trained, "--data", folder, "--backend", "numpy"))
    assert out.startswith(f"{trained}: lenet5 on tiny, backend numpy\n")
    assert " of 50 images)\n" in out
    assert " of 7 images)\n" in good(cli("evaluate", trained, "--limit", 7, "--backend", "numpy"))


def test_evaluate_takes_the_newest_run(cli: Cli, folder: Path) -> None:
    options = ("--data", folder, "--epochs", 1, "--backend", "numpy")
    good(cli("train", *options, "--out", "runs/z"))
    good(cli("train", *options, "--out", "runs/a", "--model", "course"))
    assert good(cli("evaluate", "--backend", "numpy")).startswith("runs/a: course on tiny")


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "seven.png"]])
def test_no_run_yet(command: list[str], cli: Cli, picture: Path, tmp_path: Path) -> None:
    expected = f"no finished run under {tmp_path}/runs: name one, or make one with `stackgrad-mnist train`"
    assert line(cli(*command)) == expected


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "seven.png", "--run"]])
def test_damaged_run(command: list[str], cli: Cli, run: Path, picture: Path) -> None:
    (run / "summary.json").write_text('{"model": "course", "classes": "many"}')
    assert line(cli(*command, "run")) == 'run/summary.json: damaged: classes is "many", expected 1 to 256'
    cut(run / "model.safetensors")
    shutil.copy(run / "model.safetensors", run / "summary.json")
    assert line(cli(*command, "run")).startswith("run/summary.json: damaged: ")
    assert line(cli(*command, "away")) == "away: no such folder; expected one that `stackgrad-mnist train` made"


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "seven.png", "--run"]])
def test_damaged_weights(command: list[str], cli: Cli, run: Path, picture: Path) -> None:
    path = run / "model.safetensors"
    content = path.read_bytes()
    cut(path)
    assert line(cli(*command, "run")).startswith("run/model.safetensors is damaged or not a safetensors file: ")
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert line(cli(*command, "run")).startswith("run/model.safetensors: damaged: the weights are not those")


def test_a_run_of_an_older_form(cli: Cli, run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text())
    del summary["arguments"]["emnist"], summary["arguments"]["limit"]
    save_run(run, load_run(run).model, summary)
    assert " of 50 images)" in good(cli("evaluate", "run", "--backend", "numpy"))


# predict


@pytest.fixture(scope="session")
def clear_digits(trained: Path, mnist: Dataset) -> dict[int, npt.NDArray[np.uint8]]:
    """One test image a digit: the one that the model is surest of, of those it reads rightly."""
    images, labels = mnist.test.images[:500], mnist.test.labels[:500]
    chances = probabilities(load_run(trained).model, images)
    return {digit: images[int((chances[:, digit] * (labels == digit)).argmax())] for digit in range(10)}


def as_it_is(image: Image.Image) -> Image.Image:
    return image


def inverted(image: Image.Image) -> Image.Image:
    return image.point(lambda value: 255 - value)


def large(image: Image.Image) -> Image.Image:
    return image.resize((280, 280), Image.Resampling.BICUBIC)


def ink_on_paper(image: Image.Image) -> Image.Image:
    page = Image.new("L", (400, 600), 240)
    page.paste(
        inverted(image).resize((140, 140), Image.Resampling.BICUBIC).point(lambda value: min(value, 240)), (30, 400)
    )
    return page.convert("RGB")


def huge(image: Image.Image) -> Image.Image:
    return large(image).resize((1400, 1400))


@pytest.mark.parametrize("form", [as_it_is, inverted, large, ink_on_paper, huge])
def test_predict_reads_digits(
    form: Callable[[Image.Image], Image.Image], cli: Cli, trained: Path, clear_digits: dict[int, npt.NDArray[np.uint8]]
) -> None:
    for digit, image in clear_digits.items():
        form(Image.fromarray(image)).save(f"{digit}.png")
    out = good(cli("predict", *(f"{digit}.png" for digit in range(10)), "--run", trained, "--backend", "numpy"))
    found = re.findall(r"^(\d)\.png: (\d) \((\d+\.\d)%\)$", out, re.MULTILINE)
    assert [name for name, _, _ in found] == list("0123456789")
    wrong = [(name, guess) for name, guess, _ in found if name != guess]
    assert len(wrong) <= (0 if form in (as_it_is, inverted) else 1), wrong
    assert all(10 <= float(chance) <= 100 for _, _, chance in found)


def test_predict_on_both_backends(cli: Cli, trained: Path, picture: Path) -> None:
    outs = {good(cli("predict", picture, "--run", trained, "--backend", backend)) for backend in ("cpu", "numpy")}
    assert len(outs) == 1
    assert outs.pop().startswith("seven.png: 7 (")


def test_predict_the_same_image_twice(cli: Cli, trained: Path, picture: Path) -> None:
    first, second = good(cli("predict", picture, picture, "--run", trained, "--backend", "numpy")).splitlines()
    assert first == second


def test_predict_with_the_newest_run(cli: Cli, trained: Path, picture: Path) -> None:
    shutil.copytree(trained, "runs/one")
    assert good(cli("predict", picture, "--backend", "numpy")).startswith("seven.png: 7 (")


def test_predict_a_file_whose_name_is_no_text(cli_process: Cli, trained: Path, picture: Path) -> None:
    os.rename(picture, b"\xff.png")
    result = cli_process("predict", os.fsdecode(b"\xff.png"), "--run", trained, "--backend", "numpy")
    assert re.fullmatch(r"\S+\.png: 7 \(\d+\.\d%\)\n", good(result))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("away.png", "away.png: No such file or directory"),
        ("folder", "folder: Is a directory"),
        ("text.png", "text.png: not an image that can be read: expected PNG, JPEG, BMP, GIF or WebP"),
        ("blank.png", "blank.png: the image is blank: no pixel differs from the background"),
        ("cut.png", "cut.png: damaged image: "),
    ],
)
def test_no_image(name: str, message: str, cli: Cli, trained_course: Path, picture: Path) -> None:
    Path("folder").mkdir()
    Path("text.png").write_text("seven")
    Image.new("L", (50, 50), 200).save("blank.png")
    shutil.copy(picture, "cut.png")
    Path("cut.png").write_bytes(picture.read_bytes()[:100])
    result = cli("predict", picture, name, "--run", trained_course, "--backend", "numpy")
    assert line(result).startswith(message)
    assert result.stdout == ""
