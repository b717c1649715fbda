"""The command `stackgrad-mnist`."""

from __future__ import annotations

from importlib import import_module

import click

from . import __version__
from .commands._failures import Commands

_NAMES = ("data", "evaluate", "export", "predict", "serve", "show", "train")


class _Imported(Commands):
    """The commands of the files in `commands`, each imported when it is used: together they take long to import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_NAMES)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _NAMES:
            return None
        command: click.Command = getattr(import_module(f".commands.{name}", __package__), name)
        return command


@click.group(cls=_Imported, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stackgrad-mnist")
def main() -> None:
    """Train LeNet on MNIST, measure it, and let it recognise digits.

    \b
    Examples:
      stackgrad-mnist train              LeNet on all of MNIST, within a minute
      stackgrad-mnist evaluate           test accuracy of the newest run
      stackgrad-mnist predict five.png   which digit the picture shows
      stackgrad-mnist show               pictures of the newest run, on one page
      stackgrad-mnist serve              draw digits in the browser
    """
