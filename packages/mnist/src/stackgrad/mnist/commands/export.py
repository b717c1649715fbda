"""The command `export`."""

from __future__ import annotations

from pathlib import Path

import click

from ..runs.export import OPSET, export_model
from ..runs.folder import load_run
from ._options import run_argument
from ._streams import say


@click.command(short_help="Write a trained model as an ONNX file.")
@run_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file.  [default: model.onnx in the run's folder]",
)
def export(run: Path | None, out: Path | None) -> None:
    """Write a trained model as an ONNX file, for other programs to run.

    RUN is the folder of a run, by default the newest one under ./runs. The model's input, "images", is uint8
    (n, 28, 28) for any n, with 0 for the background and 255 for full ink. Its output, "probabilities", is float32
    (n, classes). Needs the package onnx: pip install 'stackgrad-mnist[export]'.

    \b
    Examples:
      stackgrad-mnist export
      stackgrad-mnist export runs/course --out course.onnx
    """
    found = load_run(run)
    path = out or found.folder / "model.onnx"
    export_model(found, path)
    model, size = found.summary["model"], path.stat().st_size
    say(f"{click.format_filename(path)}: {model} for ONNX, opset {OPSET}, {size:,} bytes")
