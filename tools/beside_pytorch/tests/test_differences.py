"""Each row of docs/pytorch.md is true, and programs allow for no other difference."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.beside_pytorch.differences import intended, on_page
from tools.beside_pytorch.witnesses import WITNESSES

PROGRAMS = Path(__file__).parents[1]


def test_each_row_has_a_witness_and_each_witness_a_row():
    assert set(WITNESSES) == on_page()


@pytest.mark.parametrize("name", sorted(WITNESSES))
def test_the_row_is_true(name):
    WITNESSES[name]()


def test_programs_allow_only_for_differences_that_have_a_row():
    texts = [path.read_text(encoding="utf-8") for path in PROGRAMS.rglob("*.py") if path != Path(__file__)]
    allowed = {name for text in texts for name in re.findall(r'(?:intended|refuse)\(\s*"([^"]+)"', text)}
    assert allowed <= on_page()
    with pytest.raises(KeyError, match="no such row"):
        intended("unheard-of")
