"""A pytest plugin that runs the Python blocks of Markdown files as tests: pytest -p tools.markdown_examples FILE.

A block is run as it stands, or compared with its output where it is written as a session (`>>> `). The blocks of a file
share their names. `<!-- skip: next -->` before a block leaves it out.
"""

from doctest import ELLIPSIS
from pathlib import Path

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["*.md"],
    path=str(Path(__file__).parent.parent),
).pytest()
