"""The table in the package's docstring: where a reader finds what."""

import ast
import re
from pathlib import Path

from stackgrad.kernels import cuda

FOLDER = Path(cuda.__file__).parent
ROW = re.compile(r" {4}(\S.*?)  +((?:\.\./)?\w+\.py)  +(\S.*)")


def table():
    """Operation, file and names of each row."""
    tree = ast.parse((FOLDER / "__init__.py").read_text(encoding="utf-8"))
    rows = [line for line in ast.get_docstring(tree, clean=False).splitlines() if line.startswith("    ")][1:]
    matches = [ROW.fullmatch(row) for row in rows]
    assert [row for row, match in zip(rows, matches, strict=True) if not match] == []
    return [(match[1], match[2], match[3].split(", ")) for match in matches]


def defined(path):
    """The names that a file gives to functions, classes, their methods, and constants."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                names |= {name, *(f"{name}.{method.name}" for method in body if isinstance(method, ast.FunctionDef))}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def kernels(path):
    """The functions of a file that ask for the number of their block or thread and are no part of another kernel."""
    return {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and "inlined" not in map(ast.unparse, node.decorator_list)
        and re.search(r"cuda\.(grid\(|blockIdx|threadIdx)", ast.unparse(node))
    }


def test_what_the_table_names_is_there():
    missing = [
        f"{file}: {name}"
        for _, file, names in table()
        for name in names
        if not (FOLDER / file).is_file() or name not in defined(FOLDER / file)
    ]
    assert missing == []


def test_every_file_is_named():
    files = {path.name for path in FOLDER.glob("*.py")} - {"__init__.py"}
    assert files - {file for _, file, _ in table()} == set()


def test_every_kernel_is_named():
    named = {(file, name) for _, file, names in table() for name in names}
    found = {(path.name, name) for path in FOLDER.glob("*.py") for name in kernels(path)}
    assert len(found) > 30
    assert found - named == set()


def test_usual_names_are_found():
    words = " ".join(operation for operation, _, _ in table()).lower()
    usual = ["matmul", "conv1d", "conv2d", "tensor_conv2d", "pooling", "softmax", "cross-entropy", "sum", "argmax"]
    usual += ["cumsum", "gather", "scatter_add", "dropout", "adam", "batch norm", "zip", "graph", "pool", "dlpack"]
    assert [name for name in usual if name not in words] == []
