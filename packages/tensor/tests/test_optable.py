"""The op table: each row on NumPy with its gradients, its scalar expression, and its consistency."""

import ast
import itertools
import math

import numpy as np
import pytest

from stackgrad.tensor import OPS, REDUCTIONS, Tensor, tensor
from stackgrad.tensor._optable import called_by, numpy_function
from stackgrad.tensor.testing import ELEMENTWISE_CASES


@pytest.mark.parametrize("case", ELEMENTWISE_CASES, ids=str)
def test_on_numpy(case):
    case.run("numpy")


OPERANDS = [-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, math.inf, -math.inf, math.nan]
INTEGERS = [-3, -1, 0, 1, 2**62]
TYPES = {"f": np.float64, "i": np.int64, "b": np.bool_}


def evaluate(scalar, operands, kind="f"):
    """Evaluate the source of a scalar expression."""
    names = dict(zip("xyz", operands, strict=False), T=TYPES[kind])
    functions = {name: numpy_function(name) for name in called_by(scalar)}
    with np.errstate(all="ignore"):
        return float(eval(scalar, functions | names))


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_the_scalar_form_is_numpys(op):
    kind = "f" if "f" in op.accepts else "i"
    for values in itertools.product(OPERANDS if kind == "f" else INTEGERS, repeat=op.arity):
        operands = [TYPES[kind](v) for v in values]
        if op.name == "where":
            operands[0] = np.bool_(values[0] > 0)
        with np.errstate(all="ignore"):
            # Arrays, since np.power with a scalar 0.5 takes a square root, which differs from C for minus infinity.
            expected = float(op.numpy(*[np.array([v, v]) for v in operands])[0])
        assert evaluate(op.scalar, operands, kind) == pytest.approx(expected, rel=1e-14, nan_ok=True), values


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
def test_bits_of_bools_are_truth(name):
    op = OPS[name]
    for values in itertools.product([False, True], repeat=op.arity):
        assert evaluate(op.scalar, [np.bool_(v) for v in values], "b") == op.numpy(*[np.bool_(v) for v in values])


@pytest.mark.parametrize("reduction", REDUCTIONS.values(), ids=lambda reduction: reduction.name)
def test_the_scalar_form_of_a_reduction_is_numpys(reduction):
    for x in OPERANDS:
        for y in OPERANDS:
            found = evaluate(reduction.scalar, [np.float64(x), np.float64(y)])
            with np.errstate(all="ignore"):
                assert found == pytest.approx(float(reduction.numpy(np.array([x, y]))), nan_ok=True), (x, y)
    if reduction.start is not None:
        assert evaluate(reduction.scalar, [reduction.start, 3.0]) == 3.0


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_rows_are_consistent(op):
    assert op.arity == len(op.operands) == len(op.grads) == len(op.domain) == len(op.needs)
    assert op.accepts
    assert set(op.accepts) <= set("bif")
    assert op.result in ("same", "bool")
    assert op.ulp >= 1
    for low, high in op.domain:
        assert low < high
    for names in op.needs:
        assert set(names) <= {"g", "out", *op.operands}
    for gradient in op.grads:
        assert gradient is None or "f" in op.accepts


def bare_numbers(form):
    """The literals of a scalar expression that are 64 bits wide instead of type T, as T(0.5) is."""
    tree = ast.parse(form, mode="eval")
    typed = [node.args[0] for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "T"]
    called = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in typed]
    found += [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id not in ("x", "y", "z") and node not in called
    ]
    return [ast.unparse(node) for node in found]


@pytest.mark.parametrize("row", [*OPS.values(), *REDUCTIONS.values()], ids=lambda row: row.name)
def test_a_bare_number_would_widen_float32(row):
    assert bare_numbers(row.scalar) == []


@pytest.mark.parametrize(
    ("form", "found"),
    [
        ("T(0.5) * x", []),
        ("-T(1) / sqrt(x)", []),
        ("0.5 * x", ["0.5"]),
        ("x if x > 0 else T(0)", ["0"]),
        ("sqrt(2 * x)", ["2"]),
        ("T(x > 0)", ["0"]),
        ("T(1 / 3) * x", ["1", "3"]),
        ("x ** -1", ["1"]),
        ("pi * x", ["pi"]),
        ("x * 1e3 + .5", ["1000.0", "0.5"]),
    ],
)
def test_bare_numbers_are_found(form, found):
    assert sorted(bare_numbers(form)) == sorted(found)


@pytest.mark.parametrize("form", ["erfinv(x)", "math.exp(x)", "pi * x", "x + w", "np.exp(x)"])
def test_scalar_forms_call_known_names_only(form):
    with pytest.raises(
        ValueError, match="is not x, y, z, T, abs, min, max, rint, sigmoid, normal_cdf, normal_pdf or in math"
    ):
        called_by(form)


def test_functions_of_numpy_are_those_of_math():
    x = np.float32([0.25, 0.5])
    for name in ("atan", "erf", "gamma", "log2"):
        function = numpy_function(name)
        for given in (x, x[0]):
            assert function(given).dtype == np.float32
            np.testing.assert_allclose(function(given), np.vectorize(getattr(math, name))(given), rtol=1e-6)
    assert numpy_function("exp") is np.exp
    assert numpy_function("sigmoid")(np.float32(0)) == 0.5


def test_every_row_is_a_method():
    x = tensor([0.5, 0.75])
    flags = x > 0.6
    for op in OPS.values():
        method = getattr(Tensor, op.name)
        operands = [x if "f" in op.accepts else flags] * op.arity
        if op.name == "where":
            operands[0] = flags
        expected = op.numpy(*[operand.numpy() for operand in operands])
        np.testing.assert_allclose(method(*operands).numpy(), expected, rtol=1e-6)
