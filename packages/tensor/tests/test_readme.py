"""The examples of the README and of the package's docstring are true."""

import doctest
import re
from pathlib import Path

import stackgrad.tensor

README = Path(__file__).parent.parent / "README.md"


def test_the_readme() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    names: dict[str, object] = {}  # the blocks share them
    report: list[str] = []
    for i, block in enumerate(blocks):
        test = parser.get_doctest(block, names, f"block {i}", str(README), 0)
        assert test.examples
        runner.run(test, out=report.append, clear_globs=False)
        names = test.globs
    assert len(blocks) >= 8
    assert not report, "".join(report)


def test_the_docstring_of_the_package() -> None:
    results = doctest.testmod(stackgrad.tensor)
    assert results.attempted >= 4
    assert results.failed == 0
