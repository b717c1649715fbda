"""The tree uses the terms of the glossary in CONTRIBUTING.md, as far as a pattern can tell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOPS = (
    "benchmarks",
    "docs",
    "examples",
    "packages/kernels",
    "packages/mnist",
    "packages/nn",
    "packages/tensor",
    "tools",
    ".",
)
NOUNS = "array|backend|dtype|file|folder|image|integer|layer|leaf|module|scalar|tensor|view"
TERMS = {
    "turned": r"\bturned\b(?! (?:into|off|on|out)\b)",
    "margins": r"\bmargins\b",
    "chances": r"\bchances\b",
    "rightly": r"\brightly\b",
    "wrongly": r"\bwrongly\b",
    "no number": r"\bno numbers?\b(?! of)",
    "anew": r"\banew\b",
    "going on": r"\bgo(?:es|ing)? on\b",
    "what is no tensor": rf"\b(?:what|that|which) (?:is|are) no (?:{NOUNS})s?\b",
    "of which": r"(?<!\bone )(?<!\bsome )(?<!\beach )(?<!\bboth )(?<!\ball )(?<!\bmost )(?<!\bnone )\bof which\b",
    "such as lie": r"\bsuch as (?:are|have|is|lie)\b",
}
WRITTEN = {".css", ".html", ".js", ".md", ".mjs", ".py", ".toml", ".yml"}
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")


def terms_in(text: str) -> list[str]:
    """The glossary's terms to avoid that occur in a text, also in names and across the ends of lines."""
    words = re.sub(r"[\s_#]+", " ", text)
    return [term for term, pattern in TERMS.items() if re.search(pattern, words, re.IGNORECASE)]


def glossary() -> str:
    """The section with the terms, which the check leaves out."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## Words\n")[2].partition("\n## ")[0]


def texts(top: str) -> dict[str, str]:
    """The texts under a folder of the tree, or the files beside them for "."."""
    paths = [Path(name) for name in TRACKED if name.startswith(f"{top}/") or (top == "." and "/" not in name)]
    paths = [path for path in paths if path.suffix in WRITTEN and path.name not in ("CHANGELOG.md", "test_words.py")]
    found = {path.as_posix(): ROOT / path for path in paths if (ROOT / path).exists()}
    return {name: path.read_text(encoding="utf-8").replace(glossary(), "") for name, path in found.items()}


@pytest.mark.parametrize("top", TOPS)
def test_the_glossary_is_kept(top: str) -> None:
    read = texts(top)
    assert len(read) > 1
    assert {name: found for name, text in read.items() if (found := terms_in(text))} == {}


def test_pages_and_scripts_are_read() -> None:
    assert {Path(name).suffix for name in texts("packages/mnist")} >= {".html", ".js", ".md", ".py"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("made anew", ["anew"]),
        ("images read\n    # rightly", ["rightly"]),
        ("def test_a_loss_that_is_no_number():", ["no number"]),
        ("There is no number of threads that changes the result.", []),
        ("Raises TypeError for what is no tensor.", ["what is no tensor"]),
        ("keys that are no tensors, of which there are two", ["what is no tensor", "of which"]),
        ("a list of sizes, one\n# of which may be -1", []),
        ("The image is turned, and training goes on.", ["turned", "going on"]),
        ("The option is turned off.", []),
        ("The padding is right, and the renewed margin is not wrong.", []),
    ],
)
def test_terms_are_found(text: str, found: list[str]) -> None:
    assert terms_in(text) == found


def test_the_glossary_lists_each_term() -> None:
    table = " ".join(line.split("|")[1] for line in glossary().splitlines() if line.startswith("|"))
    assert [term for term in TERMS if term not in table] == []
