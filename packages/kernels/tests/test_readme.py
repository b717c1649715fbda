"""The examples of the README give the results shown."""

import doctest
import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_readme() -> None:
    blocks = re.findall(r"(?<!<!-- skip: next -->\n)```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    names: dict[str, object] = {}  # shared by all blocks
    report: list[str] = []
    for i, block in enumerate(blocks):
        test = parser.get_doctest(block, names, f"block {i}", str(README), 0)
        assert test.examples
        runner.run(test, out=report.append, clear_globs=False)
        names = test.globs
    assert len(blocks) >= 6
    assert not report, "".join(report)
