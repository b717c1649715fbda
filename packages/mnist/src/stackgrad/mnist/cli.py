"""The command `stackgrad-mnist`."""

from __future__ import annotations

import click

from . import __version__
from .commands._failures import Commands
from .commands.data import data
from .commands.evaluate import evaluate
from .commands.export import export
from .commands.predict import predict
from .commands.serve import serve
from .commands.show import show
from .commands.train import train


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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


for command in (train, evaluate, predict, show, serve, data, export):
    main.add_command(command)
