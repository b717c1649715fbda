"""A pytest plugin that runs the Python blocks of Markdown files as tests: pytest -p tools.markdown_examples FILE.

A block is run; if it is written as a session (`>>> `), its output is compared. The blocks of a file share a namespace,
and a new working folder. `<!-- skip: next -->` before a block skips it.
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
