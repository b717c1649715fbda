"""The package as its users see it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

from stackgrad import kernels
from stackgrad.tensor import available_backends, get_backend

ROOT = Path(__file__).parents[1]


def test_public_names():
    assert kernels.__all__ == sorted(kernels.__all__)
    for name in kernels.__all__:
        assert getattr(kernels, name).__doc__
    assert re.fullmatch(r"\d+\.\d+\.\d+", kernels.__version__)


def test_the_backend_is_found():
    assert "cpu" in available_backends()
    assert repr(get_backend("cpu")) == "<cpu backend>"


def test_it_is_loaded_with_the_first_tensor_and_not_on_import():
    source = (
        "import sys, stackgrad.tensor as sg; assert 'llvmlite' not in sys.modules; sg.ones(1, backend='numpy'); "
        "assert 'llvmlite' not in sys.modules; sg.ones(1); assert 'llvmlite' in sys.modules; "
        "assert 'numba' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", source], check=True, env={"PATH": "", "HOME": str(Path.home())}
    )


def test_files_stay_small():
    for path in (ROOT / "src").rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def parameters(source):
    """The functions of a source, each with its number of parameters."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            every = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            yield getattr(node, "name", "lambda"), len(every)


def test_functions_take_few_arguments():
    """Arguments that belong together are one NamedTuple."""
    found = [
        f"{path.relative_to(ROOT)}: {name} has {count}"
        for path in (ROOT / "src").rglob("*.py")
        for name, count in parameters(path.read_text(encoding="utf-8"))
        if count > 12
    ]
    assert found == []


def test_all_sorts_of_parameters_count():
    source = "async def f(a, /, b, *c, d=1, **e):\n    def g(): return lambda x: x\nclass C:\n    def h(self, y): pass"
    assert sorted(parameters(source)) == [("f", 3), ("g", 0), ("h", 2), ("lambda", 1)]
