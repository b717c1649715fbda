"""The README's console blocks are true: each command runs as written, and its output has the form that is shown."""

import os
import re
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

from stackgrad.mnist import Dataset, Split
from stackgrad.mnist.cli import main
from stackgrad.mnist.commands import _options
from stackgrad.mnist.runs.metrics import Metrics
from stackgrad.mnist.training.steps import Step

Cli = Any
README = Path(__file__).parent.parent / "README.md"
NOT_OURS = ("pip ", "eval ", "curl ")  # other commands
ENDLESS = ("serve",)


def sessions() -> Iterator[tuple[str, str]]:
    """Each command of the console blocks, in order, and its output there."""
    for block in re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def form(text: str) -> str:
    """A text without the parts that vary: values, dates, and the spaces that align them."""
    text = re.sub(r"\d{8}-\d{6}", "DATE", text)
    return re.sub(r" +", " ", re.sub(r"\d[\d,]*(\.\d+)?(e-\d+)?", "#", text))


def press_ctrl_c(self: Metrics, step: Step) -> None:
    """Replaces Metrics.log: sends SIGINT after the third step."""
    if step.step == 3:
        os.kill(os.getpid(), signal.SIGINT)


def test_the_console_blocks(cli: Cli, mirror: Any, mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, index in (("seven", 0), ("five", 8)):
        Image.fromarray(mnist.test.images[index]).save(f"{name}.png")
    load = _options.load
    train, test = (Split(split.images[:1280], split.labels[:1280]) for split in (mnist.train, mnist.test))
    small = Dataset(train, test, mnist.name)  # other tests check that it is all of MNIST
    monkeypatch.setattr(_options, "load", lambda data, emnist: load(data, emnist) if data else small)
    count = 0
    for command, expected in sessions():
        if command.startswith(NOT_OURS):
            continue
        program, name, *arguments = shlex.split(command)
        assert program == "stackgrad-mnist"
        if name in ENDLESS:
            continue
        with monkeypatch.context() as patch:
            if "\n^C\n" in expected:
                expected = expected.replace("^C\n", "")
                patch.setattr(Metrics, "log", press_ctrl_c)
                patch.setattr("stackgrad.mnist.training.interrupt._say", lambda message: click.echo(message, err=True))
            result = cli(name, *(["--pictures"] if name == "train" else []), *arguments)
        found, expected = form(result.stdout + result.stderr), form(expected)
        if expected.endswith("\n...\n"):  # the block leaves out the rest
            expected = expected.removesuffix("...\n")
            found = found[: len(expected)]
        assert found == expected, command
        count += 1
    assert count >= 10


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command, including subcommands."""
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


@pytest.mark.parametrize(("name", "command"), list(commands(main)))
def test_the_readme_describes_each_command_and_option(name: str, command: click.Command) -> None:
    text = README.read_text(encoding="utf-8")
    assert f"`{name}" in text or f"stackgrad-mnist {name}" in text
    options = [opt for each in command.params for opt in (*each.opts, *each.secondary_opts) if opt.startswith("--")]
    assert [option for option in options if not re.search(rf"`{option}[`, ]", text)] == []
