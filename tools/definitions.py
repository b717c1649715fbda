"""The definitions in the sources of a tree, which of them differ between two trees, and what they depend on.

A definition is a name that a module binds at its top level: a function, a class, a value or an imported name. Methods
of a class and rows of a table are separate definitions. A definition is the same in two trees if its text is the same,
without docstrings and comments. Other statements, such as a loop at the top level, count as part of all definitions of
the module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

FUNCTION, CLASS, VALUE, IMPORT = "function", "class", "value", "import"
Name = tuple[str, str]
"""The path of a module and the name of a definition in it: ("stackgrad/tensor/_x.py", "Tensor.exp")."""


@dataclass
class Definition:
    """The text of a definition, its lines, and the dotted names that it reads."""

    kind: str
    text: str = ""
    lines: list[range] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)

    def add(self, node: ast.AST, text: str | None = None) -> None:
        """Add a statement of the definition."""
        self.text += (ast.dump(node) if text is None else text) + "\n"
        lines = [node.lineno for node in (node, *getattr(node, "decorator_list", ())) if hasattr(node, "lineno")]
        self.lines.append(range(min(lines), (getattr(node, "end_lineno", None) or 0) + 1))
        self.reads |= _read_by(node)


class Module:
    """The definitions of one source file."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.definitions: dict[str, Definition] = {}
        self.imported: dict[str, str] = {}  # the full dotted name of each imported name
        self.loose = ""  # the text of statements that bind nothing
        for statement in ast.parse(source).body:
            self._take(_without_docstrings(statement))

    def _of(self, name: str, kind: str) -> Definition:
        return self.definitions.setdefault(name, Definition(kind))

    def _take(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            for other in statement.orelse:
                self._take(other)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            self._of(statement.name, FUNCTION).add(statement)
        elif isinstance(statement, ast.ClassDef):
            self._take_class(statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            self._take_import(statement)
        else:
            names = list(_bound_by(statement))
            rows = list(_rows(statement)) if len(names) == 1 else []
            text = ast.dump(statement)
            for key, row in rows:
                self._of(f"{names[0]}[{key}]", VALUE).add(row)
                text = text.replace(ast.dump(row), "")
            for name in names:
                self._of(name, VALUE).add(statement, text)
            self.loose += "" if names else ast.dump(statement) + "\n"

    def _take_class(self, statement: ast.ClassDef) -> None:
        own = self._of(statement.name, CLASS)
        methods = [node for node in statement.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        for method in methods:
            self._of(f"{statement.name}.{method.name}", FUNCTION).add(method)
        statement.body = [node for node in statement.body if node not in methods]
        own.add(statement)
        own.text += " ".join(method.name for method in methods)

    def _take_import(self, statement: ast.Import | ast.ImportFrom) -> None:
        for alias in statement.names:
            if isinstance(statement, ast.Import):
                origin = alias.name if alias.asname else alias.name.split(".")[0]
            else:
                origin = ".".join(filter(None, (_package(self.path, statement.level), statement.module, alias.name)))
            name = alias.asname or alias.name.split(".")[0]
            self.imported[name] = origin
            self._of(name, IMPORT).add(statement, origin)


class Tree:
    """The definitions of all sources of a tree, {path: text}."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.modules = {path: Module(path, source) for path, source in sources.items()}
        self._closures: dict[Name, frozenset[Name]] = {}

    @cached_property
    def _files(self) -> dict[str, str]:
        """The path of each module, by its dotted name."""
        return {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in self.modules}

    def find(self, path: str, line: int) -> Name | None:
        """The definition at a line; if several contain it, the one with the fewest lines."""
        found = [
            (len(lines), name)
            for name, definition in (self.modules[path].definitions.items() if path in self.modules else ())
            for lines in definition.lines
            if line in lines
        ]
        return (path, min(found)[1]) if found else None

    def whole(self, path: str) -> set[Name]:
        """All definitions of a module."""
        return {(path, name) for name in self.modules[path].definitions} if path in self.modules else set()

    def read_by(self, name: Name) -> Iterator[Name]:
        """The definitions that a definition reads. For an imported name, this includes the imported definition."""
        path, own = name
        module = self.modules[path]
        for dotted in module.definitions[own].reads:
            yield from self._resolved(module, dotted.split("."))
        if module.definitions[own].kind == IMPORT:
            yield from self._at(module.imported[own].split("."))
        if module.definitions[own].kind == CLASS:
            yield from ((path, other) for other in module.definitions if other.startswith(f"{own}."))
        if module.definitions[own].kind == VALUE:
            yield from ((path, other) for other in module.definitions if other.startswith(f"{own}["))

    def _resolved(self, module: Module, parts: list[str]) -> Iterator[Name]:
        if parts[0] not in module.definitions:
            return
        yield module.path, parts[0]
        if parts[0] in module.imported and len(parts) > 1:
            yield from self._at([*module.imported[parts[0]].split("."), *parts[1:]])

    def _at(self, parts: list[str]) -> Iterator[Name]:
        """The definitions for a dotted name, in the module with the longest name that the dotted name starts with."""
        for length in range(len(parts) - 1, 0, -1):
            path = self._files.get(".".join(parts[:length]))
            if path is not None:
                yield from self._resolved(self.modules[path], parts[length:])
                return

    def made_of(self, name: Name) -> frozenset[Name]:
        """A definition and everything that it reads, directly or indirectly."""
        if name not in self._closures:
            found, todo = {name}, [name]
            while todo:
                for other in self.read_by(todo.pop()):
                    if other not in found:
                        found.add(other)
                        todo.append(other)
            self._closures[name] = frozenset(found)
        return self._closures[name]

    def used_by_call(self, name: Name) -> set[Name]:
        """What a call of a function may use, except the functions that it calls, which are recorded when they run.

        This is the function itself; its decorators and defaults with their dependencies, since they ran at import time;
        the values that it reads with their dependencies; and the classes that it reads or belongs to, without their
        methods.
        """
        path, own = name
        found = {name}
        kind = self.modules[path].definitions[own].kind
        if kind not in (FUNCTION, CLASS):
            return set(self.made_of(name))
        if "." in own:
            found |= self.used_by_call((path, own.split(".")[0]))
        for other in self.read_by(name):
            kind = self.modules[other[0]].definitions[other[1]].kind
            if kind == VALUE:
                found |= self.made_of(other)
            elif kind == IMPORT:
                found |= {other, *self._behind(other)}
            elif kind == CLASS:
                found.add(other)
        return found

    def _behind(self, name: Name) -> set[Name]:
        """What an imported name refers to, if that is a value or a class."""
        found: set[Name] = set()
        for other in self.read_by(name):
            kind = self.modules[other[0]].definitions[other[1]].kind
            found |= {VALUE: set(self.made_of(other)), CLASS: {other}, IMPORT: set(), FUNCTION: set()}[kind]
            if kind == IMPORT and other != name:
                found |= {other, *self._behind(other)}
        return found


def changed(base: Tree, head: Tree) -> set[Name]:
    """The definitions of base that differ in head, and the new ones in head."""
    found: set[Name] = set()
    for path in base.modules.keys() | head.modules.keys():
        before, after = base.modules.get(path), head.modules.get(path)
        if before is None or after is None:
            found |= (base if after is None else head).whole(path)
            continue
        if before.loose != after.loose:
            found |= base.whole(path)
        for name in before.definitions.keys() | after.definitions.keys():
            one, other = before.definitions.get(name), after.definitions.get(name)
            if one is None:  # it may hide a built-in name, or one imported by a star
                found |= {(path, user) for user, used in before.definitions.items() if _reads(used, name)}
            if one is None or other is None or one.text != other.text:
                found.add((path, name))
    return found


def _reads(definition: Definition, name: str) -> bool:
    return any(dotted.split(".")[0] == name for dotted in definition.reads)


def _package(path: str, level: int) -> str:
    """The dotted name of the package for a relative import with `level` dots; "" without dots."""
    return ".".join(PurePosixPath(path).parts[:-level]) if level else ""


def _without_docstrings(statement: ast.stmt) -> ast.stmt:
    for node in ast.walk(statement):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
                node.body = node.body[1:]
            elif isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value.value = ""
    return statement


_SCOPES = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.FunctionDef, ast.ClassDef)


def _bound_by(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds at the top level of its module."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.ImportFrom | ast.Import):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    if not isinstance(node, _SCOPES):
        for child in ast.iter_child_nodes(node):
            yield from _bound_by(child)


def _rows(statement: ast.stmt) -> Iterator[tuple[str, ast.Call]]:
    """The rows of a table: calls in a long tuple or list whose first argument is a name."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Tuple | ast.List) and len(node.elts) > 3:
            for item in node.elts:
                if isinstance(item, ast.Call) and item.args and isinstance(item.args[0], ast.Constant):
                    yield str(item.args[0].value), item


def _read_by(node: ast.AST) -> set[str]:
    """The dotted names that a statement reads, without annotations."""
    found: set[str] = set()
    todo: list[ast.AST] = [node]
    while todo:
        node = todo.pop()
        dotted = _dotted(node)
        if dotted:
            found.add(dotted)
            continue
        unread: Iterable[object] = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        todo += [child for child in ast.iter_child_nodes(node) if not any(child is other for other in unread)]
    return found


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (behind := _dotted(node.value)):
        return f"{behind}.{node.attr}"
    return ""
