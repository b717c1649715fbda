"""Write the pictures of a run to its folder, and a page that shows them all."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import Dataset
from ..runs.folder import Run
from ..runs.metrics import read_metrics
from ..training.evaluate import probabilities
from . import Picture, Shown, draw_all

FOLDER, REPORT = "pictures", "report.html"
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #d5d5d5 }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --paper: #161616; --line: #444 } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif }
h1, h2 { line-height: 1.2 } h2 { margin-top: 2.5rem }
p.lead { font-size: 1.25rem }
img { display: block; box-sizing: border-box; width: 100%; height: auto; background: #fff;
  border: 1px solid var(--line); border-radius: .5rem }
div.wide { overflow-x: auto }
table { border-collapse: collapse } th, td { padding: .25rem 1.5rem .25rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line) } td.number { text-align: right; font-variant-numeric: tabular-nums }
td { overflow-wrap: anywhere }
@media print { :root { --ink: #000; --paper: #fff; --line: #bbb } body { margin: 0; max-width: none }
  section { break-inside: avoid } img { border: 0 } }
"""


def write_report(run: Run, data: Dataset, names: Sequence[str]) -> list[Picture]:
    """Draw the pictures of a run, and write them to its folder: each as a PNG, and all of them in report.html.

    Args:
        run: a finished run.
        data: the data with the test images.
        names: the names of the run's classes.

    Raises:
        RunError: metrics.jsonl is missing or damaged.
        OSError: a file cannot be written.
    """
    rows = read_metrics(run.folder)
    shown = Shown(run.model, rows, data.test, probabilities(run.model, data.test.images), names)
    pictures = draw_all(shown)
    (run.folder / FOLDER).mkdir(exist_ok=True)
    for picture in pictures:
        (run.folder / FOLDER / f"{picture.name}.png").write_bytes(picture.png)
    page = _page(run, data.name, shown.counts, names, pictures)
    # The name of a folder may contain bytes that are not text.
    (run.folder / REPORT).write_text(page, encoding="utf-8", errors="backslashreplace")
    return pictures


def _page(
    run: Run, data_name: str, counts: NDArray[np.int64], names: Sequence[str], pictures: Sequence[Picture]
) -> str:
    """The page, as HTML without references to other files."""
    total, correct = int(counts.sum()), int(np.trace(counts))
    title = escape(f"{run.summary['model']} on {data_name}")
    parts = [
        f"<h1>{title}</h1>",
        f'<p class="lead"><strong>{correct / total:.2%}</strong> of the test images are classified correctly: '
        f"{correct:,} of {total:,}.</p>",
    ]
    for picture in pictures:
        image = base64.b64encode(picture.png).decode()
        parts.append(
            f"<section><h2>{picture.heading}</h2>\n"
            f'<img src="data:image/png;base64,{image}" alt="{escape(picture.description)}"></section>'
        )
    parts += [
        f"<section><h2>Class by class</h2>\n{_class_table(counts, names)}</section>",
        f"<section><h2>The run</h2>\n{_summary_table(run.summary)}</section>",
    ]
    return _PAGE.format(title=title, style=_STYLE, body="\n".join(parts))


def _class_table(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """A row for each class that occurs: its images, the correct ones, and the most common confusions."""
    rows = []
    for label in np.flatnonzero(counts.sum(axis=1)).tolist():
        images, correct = int(counts[label].sum()), int(counts[label, label])
        wrong = [(int(n), names[guess]) for guess, n in enumerate(counts[label]) if n and guess != label]
        mistaken_for = ", ".join(f"{name} ({n:,})" for n, name in sorted(wrong, key=lambda pair: -pair[0])[:3])
        rows.append(
            f'<tr><th scope="row">{escape(names[label])}</th><td class="number">{images:,}</td>'
            f'<td class="number">{correct:,}</td><td class="number">{correct / images:.1%}</td>'
            f"<td>{escape(mistaken_for)}</td></tr>"
        )
    columns = ("class", "images", "correct", "", "most often mistaken for")
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>\n<tbody>{"".join(rows)}</tbody></table></div>'


def _summary_table(summary: dict[str, Any]) -> str:
    rows = "\n".join(
        f'<tr><th scope="row">{escape(key.replace("_", " "))}</th><td>{escape(_in_words(key, value))}</td></tr>'
        for key, value in summary.items()
    )
    return f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'


def _in_words(key: str, value: object) -> str:
    if isinstance(value, dict):
        given = {name: one for name, one in value.items() if one is not None and one is not False}
        return ", ".join(f"{name} {one}" for name, one in given.items())
    if key.endswith("accuracy") and isinstance(value, float):
        return f"{value:.2%}"
    if isinstance(value, int | float) and not isinstance(value, bool) and key != "seed":
        return f"{value:,}"
    return str(value)
