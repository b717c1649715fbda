"""The definitions that differ between two trees, and what a definition consists of."""

import pytest

from tools.definitions import Tree, changed

BASE = {
    "p/__init__.py": "from ._a import Table\n",
    "p/_a.py": '''
"""A module."""
from ._b import LIMIT, helper as help_
from . import _b

SIZE = LIMIT * 2
OPS = {op.name: op for op in (Op("add", 1), Op("exp", 2), Op("log", 3), Op("sqrt", 4))}


class Table:
    """A class."""

    width = SIZE

    def read(self, x: int) -> int:
        """A method."""
        return help_(x) + _b.state.value

    def write(self):
        pass


@help_
def kernel(x):
    return inner(x) * LIMIT


def inner(x):
    return x
''',
    "p/_b.py": "LIMIT = 3\nstate = None\n\n\ndef helper(x):\n    return other(x)\n\n\ndef other(x):\n    return x\n",
}


def after(path, old, new):
    assert BASE[path].count(old) == 1
    return changed(Tree(BASE), Tree({**BASE, path: BASE[path].replace(old, new)}))


@pytest.mark.parametrize(
    ("path", "old", "new", "found"),
    [
        ("p/_a.py", '"""A method."""', '"""What it does."""', set()),
        ("p/_a.py", "SIZE = LIMIT * 2", "SIZE = LIMIT * 2  # why", set()),
        ("p/_a.py", "pass", "return None", {("p/_a.py", "Table.write")}),
        ("p/_a.py", "width = SIZE", "width = 5", {("p/_a.py", "Table")}),
        ("p/_a.py", "LIMIT * 2", "LIMIT * 3", {("p/_a.py", "SIZE")}),
        ("p/_a.py", 'Op("exp", 2)', 'Op("exp", 5)', {("p/_a.py", "OPS[exp]")}),
        ("p/_a.py", "helper as help_", "other as help_", {("p/_a.py", "help_")}),
        ("p/_b.py", "LIMIT = 3", "LIMIT = 4", {("p/_b.py", "LIMIT")}),
    ],
)
def test_changed_definitions(path, old, new, found):
    assert after(path, old, new) == found


def test_a_new_name_changes_the_definitions_that_read_it():
    found = after("p/_b.py", "state = None", "state = None\ndef other_(x): return x")
    assert found == {("p/_b.py", "other_")}
    base = {"p/_c.py": "def f(x):\n    return max(x)\n"}
    shadowed = {"p/_c.py": "def f(x):\n    return max(x)\n\n\ndef max(x):\n    return x\n"}
    assert changed(Tree(base), Tree(shadowed)) == {("p/_c.py", "max"), ("p/_c.py", "f")}


def test_a_statement_that_binds_nothing_belongs_to_all_definitions():
    base = {"p/_c.py": "A = {}\n\n\ndef f():\n    return A\n\n\nA.update(x=1)\n"}
    head = {"p/_c.py": base["p/_c.py"].replace("x=1", "x=2")}
    assert changed(Tree(base), Tree(head)) == {("p/_c.py", "A"), ("p/_c.py", "f")}


def test_added_and_removed_files():
    extra = {**BASE, "p/_c.py": "X = 1\n"}
    assert changed(Tree(BASE), Tree(extra)) == changed(Tree(extra), Tree(BASE)) == {("p/_c.py", "X")}


def test_the_definitions_of_a_kernel():
    found = Tree(BASE).made_of(("p/_a.py", "kernel"))
    names = {name for _, name in found}
    assert names == {"kernel", "help_", "helper", "other", "inner", "LIMIT"}


def test_the_definitions_that_a_call_uses_besides_the_functions_it_calls():
    tree = Tree(BASE)
    read = tree.used_by_call(("p/_a.py", "Table.read"))
    assert read == {
        ("p/_a.py", "Table.read"),
        ("p/_a.py", "Table"),
        ("p/_a.py", "SIZE"),
        ("p/_a.py", "LIMIT"),
        ("p/_b.py", "LIMIT"),
        ("p/_a.py", "help_"),
        ("p/_a.py", "_b"),
        ("p/_b.py", "state"),
    }


def test_a_line_belongs_to_the_smallest_definition_around_it():
    tree = Tree(BASE)
    lines = BASE["p/_a.py"].splitlines()
    for text, name in (
        ("def write", "Table.write"),
        ("class Table", "Table"),
        ("@help_", "kernel"),
        ("SIZE =", "SIZE"),
    ):
        line = next(i for i, found in enumerate(lines, 1) if text in found)
        assert tree.find("p/_a.py", line) == ("p/_a.py", name)
    assert tree.find("p/_a.py", 1000) is None
    assert tree.find("q.py", 1) is None
