"""No package has an import cycle, not even one hidden in a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[2] / "packages"


def imported(node: ast.AST) -> Iterator[ast.ImportFrom]:
    """All `from` imports, including those inside functions, but not those that are only for annotations."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from (found for other in child.orelse for found in imported(other))
            continue
        if isinstance(child, ast.ImportFrom):
            yield child
        yield from imported(child)


def files(statement: ast.ImportFrom, path: Path) -> set[Path]:
    """The files of the package that a relative import in `path` reads."""
    folder = path.parents[statement.level - 1]
    base = folder.joinpath(*(statement.module or "").split(".")) if statement.module else folder
    if base.with_suffix(".py").is_file():
        return {base.with_suffix(".py")}
    named = [(base / f"{alias.name}.py", base / alias.name / "__init__.py") for alias in statement.names]
    found = {file for either in named for file in either if file.is_file()}
    return found if len(found) == len(named) else found | {base / "__init__.py"}


def graph(root: Path) -> dict[Path, set[Path]]:
    """For each file under `root`, the files that it imports."""
    return {
        path.relative_to(root): {
            file.relative_to(root)
            for statement in imported(ast.parse(path.read_text(encoding="utf-8")))
            if statement.level
            for file in files(statement, path)
        }
        - {path.relative_to(root)}
        for path in root.rglob("*.py")
    }


def cycle(root: Path) -> list[str]:
    """The files of a cycle, with the first again at the end; empty if there is no cycle."""
    try:
        TopologicalSorter(graph(root)).prepare()
    except CycleError as error:
        return [str(path) for path in error.args[1]]
    return []


@pytest.mark.parametrize("package", ["tensor", "kernels", "nn", "mnist"])
def test_no_import_cycle(package: str) -> None:
    root = PACKAGES / package / "src" / "stackgrad" / package
    assert len(graph(root)) > 5
    assert cycle(root) == []


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ("from .b import y", "from .a import x", True),
        ("from .b import y", "def f():\n    from . import a", True),
        ("from . import b", "from ._deep.c import z", True),
        ("from .b import y", "if TYPE_CHECKING:\n    from .a import x", False),
        ("from .b import y", "if not TYPE_CHECKING:\n    from .a import x", True),
        ("from .b import y", "import os", False),
    ],
)
def test_cycles_are_found(a: str, b: str, found: bool, tmp_path: Path) -> None:
    (tmp_path / "_deep").mkdir()
    sources = {"__init__": "", "a": a, "b": b, "_deep/__init__": "", "_deep/c": "from ..a import x"}
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    assert bool(cycle(tmp_path)) == found
