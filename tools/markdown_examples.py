"""A pytest plugin that runs the Python blocks of Markdown files as tests: pytest -p tools.markdown_examples FILE.

A block is run as it stands, or compared with its output where it is written as a session (`>>> `). The blocks of a file
share their names, and a new folder to write into. `<!-- skip: next -->` before a block leaves it out.
"""

import contextlib
import tempfile
from doctest import ELLIPSIS
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser


def _enter_folder(namespace: dict[str, Any]) -> None:
    stack = namespace["_folder"] = contextlib.ExitStack()
    stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))


def _leave_folder(namespace: dict[str, Any]) -> None:
    namespace["_folder"].close()


pytest_collect_file = Sybil(
    setup=_enter_folder,
    teardown=_leave_folder,
    parsers=[PythonCodeBlockParser(doctest_optionflags=ELLIPSIS), SkipParser()],
    patterns=["*.md"],
    path=str(Path(__file__).parent.parent),
).pytest()
