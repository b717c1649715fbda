"""The command `data` and its subcommands `verify` and `fetch`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ..data import fetch as fetching
from ..data.datasets import load
from ..data.datasets import verify as verify_built_in
from ..data.idx import IdxError
from ..data.published import HOMELESS, PUBLISHED, data_folder, folder_of, missing
from ._options import json_option
from ._progress import Bar
from ._streams import say


@click.group(invoke_without_command=True, short_help="List, fetch and verify data sets.")
@json_option("Print the list as JSON.")
@click.pass_context
def data(ctx: click.Context, as_json: bool) -> None:
    """List the data sets, and which of them are here.

    MNIST is built in. Others are fetched into the user's data folder (STACKGRAD_DATA_DIR names another), where
    --data finds them by name.

    \b
    Examples:
      stackgrad-mnist data
      stackgrad-mnist data fetch fashion-mnist
      stackgrad-mnist train --data fashion-mnist
    """
    if ctx.invoked_subcommand:
        return
    rows = [_row(name) for name in PUBLISHED]
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    width = max(len(name) for name in PUBLISHED)
    for row in rows:
        where = {"built in": "built in", "fetched": f"in {row['folder']}"}.get(
            row["state"], f"{row['state']}: `stackgrad-mnist data fetch {row['name']}` ({row['bytes'] / 1e6:.1f} MB)"
        )
        say(f"{row['name']:{width}}  {row['about']:{max(len(each['about']) for each in rows)}}  {where}")


def _row(name: str) -> dict[str, Any]:
    published, folder = PUBLISHED[name], folder_of(name)
    absent = missing(name, folder)
    fetched = "fetched" if not absent else "not fetched" if len(absent) == len(published.files) else "fetched in part"
    state = "built in" if name == "mnist" else fetched
    return {
        "name": name,
        "about": published.about,
        "state": state,
        "folder": str(folder) if state.startswith("fetched") else None,
        "bytes": published.size,
        "page": published.page,
        "labels": published.labels,
    }


@data.command(short_help="Check the files of data sets.")
@click.argument("names", nargs=-1, metavar="[NAME|DIR]...")
def verify(names: tuple[str, ...]) -> None:
    """Check that the files of a data set NAME equal the published ones, bit by bit, and that those of a folder DIR are
    valid.

    Without arguments, checks all data sets that are here.

    \b
    Examples:
      stackgrad-mnist data verify
      stackgrad-mnist data verify fashion-mnist
      stackgrad-mnist data verify ~/my-digits
    """
    present = [name for name in PUBLISHED if _row(name)["state"] in ("built in", "fetched")]
    for name in names or present:
        if name == "mnist":
            verify_built_in()
            say("mnist: the original files")
        elif name in PUBLISHED:
            if missing(name, folder_of(name)):
                raise IdxError(f"{name} is not fetched yet: run `stackgrad-mnist data fetch {name}`")
            for file in PUBLISHED[name].files:
                fetching.check(folder_of(name) / file.name, file)
            say(f"{name}: the published files, in {folder_of(name)}")
        else:
            loaded = load(Path(name))
            say(
                f"{name}: valid: {len(loaded.train):,} training and {len(loaded.test):,} test images, "
                f"labels up to {max(loaded.train.labels.max(), loaded.test.labels.max())}"
            )


@data.command(short_help="Fetch a data set.")
@click.argument("name", type=click.Choice(list(PUBLISHED)))
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="The address of a folder with the files; may be repeated.  [default: where they are published]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where to write the files.  [default: the folder NAME in the user's data folder]",
)
def fetch(name: str, mirrors: tuple[str, ...], out: Path | None) -> None:
    """Fetch the four files of a data set and check them. An interrupted fetch continues where it stopped.

    \b
    Examples:
      stackgrad-mnist data fetch fashion-mnist
      stackgrad-mnist data fetch kmnist --out ~/kmnist
      stackgrad-mnist data fetch mnist --mirror http://localhost:8000/mnist/
    """
    for mirror in mirrors:
        if not mirror.startswith(("http://", "https://")):
            raise click.BadParameter(f"{mirror!r} does not start with http:// or https://", param_hint="'--mirror'")
    if out is None and data_folder() == HOMELESS:
        raise click.UsageError("there is no home folder for data sets: name a folder with --out")
    folder = out or folder_of(name)
    with Bar(total=PUBLISHED[name].size, desc=name, unit="B", unit_scale=True) as bar:
        fetching.fetch(name, folder, mirrors, bar.update)
    say(f"{name}: the published files, in {click.format_filename(folder)}")
