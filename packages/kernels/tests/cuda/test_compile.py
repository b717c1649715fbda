"""Compile every kernel for a GPU, without one: to PTX and, if ptxas is installed, to machine code."""

import math
import operator
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import numpy as np
import pytest
from numba.core.errors import NumbaError
from numba.cuda import types

from stackgrad.kernels import cuda
from stackgrad.kernels.cuda import _elementwise, _fused
from stackgrad.kernels.cuda._custom import CustomKernels
from stackgrad.kernels.cuda._driver import compile_to_ptx, entry_name
from stackgrad.kernels.cuda._kernel import REGISTRY
from stackgrad.tensor import from_numpy
from stackgrad.tensor._program import Program
from stackgrad.tensor._trace import Trace, symbol, traced

for _module in iter_modules(cuda.__path__):
    import_module(f"{cuda.__name__}.{_module.name}")

TARGETS = [(8, 0), (9, 0)]
PTXAS = shutil.which("ptxas") or shutil.which("ptxas", path="/usr/local/cuda/bin")

# NVIDIA's functions reduce large arguments by a product in float64.
DOUBLE_INSIDE = {"sin", "cos", "tan"}
# Kernels of `_tile` and `_norm`: an index that is unknown at compile time would put their local arrays into memory.
IN_REGISTERS = {"product", "convolve", "moments", "normalise", "grad", "input"}
# What compiles for the first target compiles for the second, which has all that the first has. Machine code is looked
# at for the second, and for float32 alone.
CASES = [
    pytest.param(kernel, dtype, target, id=f"{kernel.name}-{dtype}-sm_{target[0]}{target[1]}")
    for kernel in REGISTRY
    for dtype in kernel.dtypes
    for target in (TARGETS if dtype == np.float32 else TARGETS[:1])
]


def holds(signature, wanted):
    """Whether a Numba type is that of an argument or of the elements that an argument points to."""
    return any(getattr(argument, "dtype", argument) == wanted for argument in signature)


@pytest.mark.parametrize(("kernel", "dtype", "target"), CASES)
def test_it_compiles(kernel, dtype, target, tmp_path):
    signature = kernel.signature(dtype)
    ptx = compile_to_ptx(kernel.source(dtype), signature, target, kernel.threads)
    assert entry_name(ptx)
    assert f".target sm_{target[0]}{target[1]}" in ptx
    header = ptx.partition(".visible .entry")[2].partition(")")[0]
    assert [int(width) for width in re.findall(r"\.param \.[a-z](\d+) ", header)] == list(bits(signature))
    exact = dtype == np.int64 and kernel.body in (_elementwise._flat, _elementwise._strided)
    if (dtype == np.float32 or exact) and not holds(signature, types.float64):
        assert kernel.name.split("_")[0] in DOUBLE_INSIDE or not re.findall(r"^.*\.f64.*$", ptx, re.MULTILINE)
    if dtype != np.float32:
        return
    if PTXAS and target == TARGETS[-1]:
        stack, stores, loads = in_memory(ptx, target, tmp_path)
        assert stores == loads == 0
        assert stack == 0 or kernel.name.split("_")[0] not in IN_REGISTERS


def bits(arguments):
    """The width of each argument that a launch passes, with tuples flattened as by `_driver._flat`."""
    for argument in arguments:
        if isinstance(argument, types.BaseTuple):
            yield from bits(argument)
        else:
            yield 64 if isinstance(argument, types.CPointer) else argument.bitwidth


def in_memory(ptx, target, folder):
    """Bytes of a thread in memory: local arrays that are not registers, and spilled registers."""
    (folder / "kernel.ptx").write_text(ptx)
    command = [PTXAS, "-v", f"-arch=sm_{target[0]}{target[1]}", "kernel.ptx", "-o", "kernel.cubin"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    return [int(number) for number in found.groups()]


def test_the_files_of_kernels_are_known():
    """A file of kernels that this test does not import would not be compiled."""
    folder = Path(cuda.__file__).parent
    with_kernels = {path.stem for path in folder.rglob("*.py") if "cuda.grid(" in path.read_text(encoding="utf-8")}
    known = {kernel.body.__module__.rpartition(".")[2] for kernel in REGISTRY}
    assert with_kernels <= known | {
        "_kernel",
        "_fused",
    }  # _fused writes kernels for functions; some are tested below


SCALE = 3.0


def by_branches(v):
    total = v
    for _ in range(2):
        total = total * v
    return total + SCALE if v > 0 else -total


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize(
    ("fn", "arity"),
    [(by_branches, 1), (lambda v: v / 2 if v % 2 else v, 1), (math.exp, 1), (operator.add, 2), (lambda a, b: a * b, 2)],
    ids=["branches", "lambda", "exp", "add", "zip"],
)
def test_functions_of_users_compile(fn, arity, dtype):
    made = CustomKernels("custom", fn, arity)._for(np.dtype(dtype))
    folds = (made.fold.rows, made.fold.columns) if arity == 2 else ()
    for kernel in (made.maps.flat, made.maps.strided, *folds):
        assert kernel not in REGISTRY
        ptx = compile_to_ptx(kernel.source(np.dtype(dtype)), kernel.signature(np.dtype(dtype)), TARGETS[-1], 256)
        assert entry_name(ptx)


def test_a_function_that_does_not_compile():
    flat = CustomKernels("custom", lambda v: v.real_part, 1)._scalars.maps.flat
    with pytest.raises(NumbaError, match="Unknown attribute 'real_part' of type float32"):
        compile_to_ptx(flat.source(np.dtype("float32")), flat.signature(np.dtype("float32")), TARGETS[-1], 256)


FUNCTIONS = {
    "gelu": lambda x, y: 0.5 * x * (1 + (x * math.sqrt(0.5)).erf()),
    "smooth": lambda x, y: ((x - y).abs() < 1).where((x - y) * (x - y) * 0.5, (x - y).abs() - 0.5),
    "clipped": lambda x, y: x.clip(-1, 1).maximum(y) ** 3 + (x > y) * y.sign(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fused_function_compiles(name, dtype):
    for stage in stages(FUNCTIONS[name], dtype):
        for layouts in ([_fused.ALONG] * 2, [_fused.APART, _fused.SINGLE]):
            layouts = (layouts * 2)[: len(stage.operands)]
            kernel = _fused.kernel_of(stage, layouts)
            single = np.dtype(np.float32)
            ptx = compile_to_ptx(kernel.source(single), kernel.signature(single), (9, 0), kernel.threads)
            assert dtype == "float64" or not re.findall(r"^.*\.f64.*$", ptx, re.MULTILINE)


def stages(f, dtype):
    """The stages of a function of two tensors and of its gradient."""
    inputs = [symbol(i, from_numpy(np.ones((2, 3), dtype), backend="numpy")) for i in range(2)]
    with traced():
        trace = Trace("f", inputs, [], [f(*inputs)], shared=False)
    gradient = trace.gradient(0, (True, False))
    return [stage for made in (trace, gradient) for stage in Program(made.roots, made.given).stages]
