"""The packages use the terms of the glossary in CONTRIBUTING.md, as far as a pattern can tell."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DONE = ("tensor", "nn")  # add a package once its words follow the glossary
TERMS = {
    "anew": r"\banew\b",
    "margins": r"\bmargins\b",
    "chances": r"\bchances\b",
    "rightly": r"\brightly\b",
    "wrongly": r"\bwrongly\b",
    "no number": r"\bno numbers?\b(?! of)",
    "what is no tensor": r"\bwhat is no (tensor|backend|dtype|layer|module|array|integer|scalar|index)\b",
}
WRITTEN = {".py", ".md", ".toml"}


def terms_in(text: str) -> list[str]:
    """The glossary's terms to avoid that occur in a text, also in names and across the ends of lines."""
    words = re.sub(r"[\s_#]+", " ", text)
    return [term for term, pattern in TERMS.items() if re.search(pattern, words, re.IGNORECASE)]


@pytest.mark.parametrize("package", DONE)
def test_the_glossary_is_kept(package: str) -> None:
    paths = [path for path in (ROOT / "packages" / package).rglob("*") if path.suffix in WRITTEN]
    texts = {path: path.read_text(encoding="utf-8") for path in paths if path.name != "CHANGELOG.md"}
    assert len(texts) > 20
    assert {str(path.relative_to(ROOT)): found for path, text in texts.items() if (found := terms_in(text))} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("made anew", ["anew"]),
        ("images read\n    # rightly", ["rightly"]),
        ("def test_a_loss_that_is_no_number():", ["no number"]),
        ("There is no number of threads that changes the result.", []),
        ("Raises TypeError for what is no tensor.", ["what is no tensor"]),
        ("The padding is right, and the renewed margin is not wrong.", []),
    ],
)
def test_terms_are_found(text: str, found: list[str]) -> None:
    assert terms_in(text) == found


def test_the_glossary_lists_each_term() -> None:
    section = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("\n## Words\n")[2].partition("\n## ")[0]
    table = " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|"))
    assert [term for term in TERMS if term not in table] == []
