"""The index tables in the docstrings of cpu and cuda. Files with the same name have the same purpose."""

import ast
import re
from pathlib import Path

import pytest

from stackgrad import kernels

FOLDER = Path(kernels.__file__).parent
ROW = re.compile(r" {4}(\S.*?)  +((?:\.\./|\w+/)?\w+\.py)  +(\S.*)")

both = pytest.mark.parametrize("backend", ["cpu", "cuda"])


def table(backend):
    """Operation, file and names of each row."""
    tree = ast.parse((FOLDER / backend / "__init__.py").read_text(encoding="utf-8"))
    rows = [line for line in ast.get_docstring(tree, clean=False).splitlines() if line.startswith("    ")][1:]
    matches = [ROW.fullmatch(row) for row in rows]
    assert [row for row, match in zip(rows, matches, strict=True) if not match] == []
    return [(match[1], match[2], match[3].split(", ")) for match in matches]


def defined(path):
    """The names of a file's functions, classes, methods and constants."""
    names = {"__doc__"}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name, body=body):
                names |= {name, *(f"{name}.{method.name}" for method in body if isinstance(method, ast.FunctionDef))}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return names


def cuda_kernels(path):
    """The functions of a file that use their block or thread index and are not inlined into other kernels."""
    return {
        node.name
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
        and "inlined" not in map(ast.unparse, node.decorator_list)
        and re.search(r"cuda\.(grid\(|blockIdx|threadIdx)", ast.unparse(node))
    }


@both
def test_the_names_of_the_table_exist(backend):
    folder = FOLDER / backend
    missing = [
        f"{file}: {name}"
        for _, file, names in table(backend)
        for name in names
        if not (folder / file).is_file() or name not in defined(folder / file)
    ]
    assert missing == []


@both
def test_every_file_is_named(backend):
    files = {path.name for path in (FOLDER / backend).glob("*.py")} - {"__init__.py"}
    folders = {f"{path.name}/__init__.py" for path in (FOLDER / backend).iterdir() if (path / "__init__.py").is_file()}
    assert (files | folders) - {file for _, file, _ in table(backend)} == set()


def test_every_cuda_kernel_is_named():
    named = {(file, name) for _, file, names in table("cuda") for name in names}
    folder = FOLDER / "cuda"
    found = {(str(path.relative_to(folder)), name) for path in folder.rglob("*.py") for name in cuda_kernels(path)}
    assert len(found) > 30
    assert found - named == set()


@both
def test_usual_names_are_found(backend):
    words = " ".join(operation for operation, _, _ in table(backend)).lower()
    usual = ["matmul", "conv1d", "conv2d", "pooling", "softmax", "cross-entropy", "sum", "argmax", "cumsum", "gather"]
    usual += ["scatter_add", "dropout", "adam", "batch norm", "zip", "replay", "memory", "disk", "elementwise"]
    assert [name for name in usual if name not in words] == []


def test_files_of_one_name_have_the_same_description():
    """Files of both backends share the first words of at least one of their rows."""
    rows = {backend: {} for backend in ("cpu", "cuda")}
    for backend, found in rows.items():
        for operation, file, _ in table(backend):
            found.setdefault(file, set()).add(re.split(r"[:;,]", operation)[0])
    shared = rows["cpu"].keys() & rows["cuda"].keys()
    assert len(shared) > 15
    assert [file for file in sorted(shared) if not rows["cpu"][file] & rows["cuda"][file]] == []
