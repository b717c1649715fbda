"""Two thousand random programs, the same each time. `-k layers.conv2d` selects a family.

`python -m tools.beside_pytorch` runs others.
"""

from __future__ import annotations

import pytest

from tools.beside_pytorch.case import compare
from tools.beside_pytorch.programs import PROGRAMS

CASES = 2000
BACKENDS = ("numpy", "cpu")
EACH, MORE = divmod(CASES, len(PROGRAMS))  # the first families have one more
PARTS = [(name, EACH + (i < MORE)) for i, name in enumerate(PROGRAMS)]


@pytest.mark.parametrize(("name", "count"), PARTS, ids=[name for name, _ in PARTS])
def test_does_not_differ_from_pytorch(name, count):
    found = [compare(name, PROGRAMS[name], seed, BACKENDS) for seed in range(count)]
    assert [difference for difference in found if difference] == []
