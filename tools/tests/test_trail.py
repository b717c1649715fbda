"""The trail through the code that the README proposes."""

import re

from benchmarks._pipe import ROOT

MOST_LINES = 2_200


def test_the_trail_has_ten_files_and_is_short_enough_for_an_evening():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## An evening's trail\n")[1].split("\n## ")[0]
    files = re.findall(r"^\d+\. \[[^\]]+\]\(([^)]+)\)", section, re.MULTILINE)
    assert len(files) == 10
    lines = sum(len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in files)
    assert lines <= MOST_LINES
