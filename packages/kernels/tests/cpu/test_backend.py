"""The whole table of cases on the cpu backend, and inputs that must not reach its kernels."""

import os
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from stackgrad import tensor as sg
from stackgrad.kernels.cpu import CpuBackend
from stackgrad.tensor import OPS, Function, Op
from stackgrad.tensor.testing import CASES, ELEMENTWISE_CASES, Case, Limits, check_elementwise

pytestmark = pytest.mark.usefixtures("poisoned")

# A kernel takes half a second to compile, so integers and bools are left out where floats test the same.
BITWISE = ("bitwise_and", "bitwise_or", "bitwise_xor")
INTEGERS = ("mul", "pow", "abs", "sign", "clip", "where", "eq", *BITWISE)
BOOLS = ("where", "maximum", *BITWISE)
EVERYTHING = os.environ.get("HYPOTHESIS_PROFILE") == "random"


def of_few_dtypes(op: Op) -> Case:
    tried = {"f": True, "i": op.name in INTEGERS, "b": op.name in BOOLS}
    accepts = op.accepts if EVERYTHING else "".join(kind for kind in op.accepts if tried[kind])
    return Case(op.name, "values", partial(check_elementwise, replace(op, accepts=accepts)))


VALUES = tuple(of_few_dtypes(op) for op in OPS.values())
REST = tuple(case for case in CASES if case.kind != "values" or case not in ELEMENTWISE_CASES)
LARGE = tuple(
    case
    for case in (*VALUES, *REST)
    if case.kind == "values"
    and case.name
    in {
        *("add", "exp", "where", "reduce-sum", "reduce-max", "argmax", "cumsum", "matmul", "linear", "conv2d"),
        *(
            "max_pool2d",
            "avg_pool2d",
            "softmax",
            "cross_entropy",
            "batch_norm",
            "dropout",
            "uniform",
            "sgd_step",
            "adam_step",
        ),
    }
)


@pytest.mark.parametrize("case", [*VALUES, *REST], ids=str)
def test_case(case):
    case.run("cpu")


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_case_of_many_chunks(case):
    case.run("cpu", Limits(extent=70, size=100_000), max_examples=6)


def test_it_is_the_default_and_found_by_name():
    sg.set_default_backend(None)
    assert isinstance(sg.get_backend(), CpuBackend)
    assert sg.get_backend("cpu") is sg.ones(2).backend


def test_it_shares_memory_with_numpy():
    x = sg.arange(3, backend="numpy")
    y = x.to("cpu")
    y[0] = 7
    assert x.tolist() == [7, 1, 2]


# --- inputs that must not reach a kernel


def test_another_byte_order_is_refused():
    with pytest.raises(TypeError, match=r"dtype >f4: expected float32, float64, int64 or bool"):
        sg.from_numpy(np.ones(3, ">f4"))
    with pytest.raises(TypeError, match=r"dtype >i8: expected"):
        sg.from_numpy(np.ones(3, ">i8"))
    assert (sg.tensor(np.array([1.0, 2.0], ">f4"), dtype="float32") * 2).tolist() == [2, 4]


def test_misaligned_memory_is_refused():
    array = np.zeros(4 * 8 + 1, np.uint8)[1:].view(np.float64)
    with pytest.raises(ValueError, match=r"not aligned in memory: copy it with tensor"):
        sg.from_numpy(array)
    assert (sg.tensor(array) + 1).tolist() == [1] * 4


@pytest.mark.parametrize("subclass", [np.ma.MaskedArray, np.matrix, np.memmap, np.recarray])
def test_subclasses_become_plain_arrays(subclass):
    array = np.array([[1.0, 2.0]]).view(subclass)
    assert type(sg.from_numpy(array).data) is np.ndarray
    assert (sg.from_numpy(array) * 2).tolist() == [[2, 4]]
    assert sg.from_numpy(array).sum().item() == 3


def test_read_only_memory_is_read_and_not_written():
    array = np.ones(5, np.float32)
    array.flags.writeable = False
    x = sg.from_numpy(array)
    assert (x + x).tolist() == [2] * 5
    with pytest.raises(ValueError, match="read-only"):
        x.add_(1)
    assert array.tolist() == [1] * 5


@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_a_gradient_of_another_dtype_is_refused(dtype):
    class Double(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return (g * 2).astype(dtype)

    x = sg.ones(2, 3, requires_grad=True)
    with pytest.raises(TypeError, match=rf"Double.backward returned a gradient of {dtype} for a tensor of float32"):
        Double.apply(sg.softmax(x, 1)).sum().backward()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: sg.ones(3) + sg.ones(4), ValueError, r"shapes \(3,\) and \(4,\) do not broadcast"),
        (lambda: sg.ones(2, 3) @ sg.ones(2, 3), ValueError, r"inner extents 3 and 2 differ"),
        (lambda: sg.ones(2, 3, dtype=bool) @ sg.ones(3, 2, dtype=bool), TypeError, "matmul of bools"),
        (
            lambda: sg.conv2d(sg.ones(1, 1, 3, 3), sg.ones(1, 1, 2, 2, dtype="float64")),
            TypeError,
            "input has dtype float32 and weight float64",
        ),
        (
            lambda: sg.conv2d(sg.ones(1, 1, 3, 3), sg.ones(1, 1, 2, 2), sg.ones(1, dtype="float64")),
            TypeError,
            "input has dtype float32 and bias float64",
        ),
        (lambda: sg.max_pool2d(sg.ones(1, 1, 2, 2, dtype=int), (2, 2), (2, 2)), TypeError, "input of dtype int64"),
        (lambda: sg.softmax(sg.ones(3, dtype=int), 0), TypeError, "softmax: input of dtype int64"),
        (
            lambda: sg.cross_entropy(sg.ones(1, 3), sg.tensor([3])),
            ValueError,
            "target holds class 3: expected 0 to 2",
        ),
        (
            lambda: sg.cross_entropy(sg.ones(1, 3), sg.tensor([1.0])),
            TypeError,
            "input of float32 and target of float32",
        ),
        (lambda: sg.ones(0).max(), ValueError, "there is nothing to take the max of"),
        (lambda: sg.ones(2, 0).argmax(1), ValueError, "there is nothing to take the max of"),
        (lambda: sg.ones(2).sum(1), IndexError, "dim 1 is out of range for 1 dimensions"),
        (
            lambda: sg.sgd_step([sg.ones(2)], [sg.ones(2, dtype="float64")], None, sg.sgd_numbers(0.1)),
            ValueError,
            r"parameter of shape \(2,\), float32 on 'cpu' was given a gradient or state of shape \(2,\), float64",
        ),
        (
            lambda: sg.sgd_step([sg.ones(2, dtype=int)], [sg.ones(2, dtype=int)], None, sg.sgd_numbers(0.1)),
            TypeError,
            "parameter of dtype int64: expected float32 or float64",
        ),
        (lambda: sg.ones(2) + sg.ones(2, backend="numpy"), ValueError, "backends 'cpu' and 'numpy' do not mix"),
    ],
)
def test_wrong_arguments(call, error, text):
    with pytest.raises(error, match=text):
        call()
