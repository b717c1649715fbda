"""The methods as functions, names imported on first use, casts, sizes and new tensors."""

import subprocess
import sys

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor, _functions, _overloads, tensor


@pytest.mark.parametrize("name", sorted({*_functions.__all__, *_overloads.__all__} - {"std_mean", "var_mean"}))
def test_each_is_a_method(name):
    function = getattr(sg, name)
    assert function.__name__ in (name, getattr(Tensor, name).__name__)
    assert function.__doc__ or not getattr(Tensor, name).__doc__
    with pytest.raises(TypeError, match=r"got list, expected a tensor|expected a tensor or a real"):
        function([1.0], *[[2.0]] * (name in ("pow", "remainder", "max", "min")))


ALONE = {
    "astype",
    "backward",
    "bool",
    "contiguous",
    "copy_",
    "cpu",
    "dim",
    "double",
    "expand",
    "expand_as",
    "float",
    "ger",
    "give_grad",
    "graph",
    "is_floating_point",
    "is_contiguous",
    "item",
    "long",
    "relu_grad",
    "memory",
    "new",
    "new_empty",
    "new_full",
    "new_ones",
    "new_zeros",
    "numpy",
    "read",
    "register_post_accumulate_grad_hook",
    "repeat",
    "requires_grad_",
    "reshape_as",
    "to",
    "to_device",
    "tolist",
    "type",
    "type_as",
    "view",
    "view_as",
    "normal_cdf",
    "normal_pdf",
    "where_larger",
}


def test_every_other_method_is_a_function():
    public = {name for name in dir(Tensor) if not name.startswith("_") and not name.endswith("_")}
    methods = {name for name in public if callable(getattr(Tensor, name))}
    assert not methods - set(dir(sg)) - ALONE


def test_by_name_and_by_position():
    x = tensor([[1.0, 2.0], [3.0, 4.0]])
    assert sg.sum(input=x, dim=1).tolist() == sg.sum(x, 1).tolist() == [3.0, 7.0]
    assert sg.max(x, 1).tolist() == [2.0, 4.0]
    assert sg.max(x).item() == 4.0
    assert sg.max(x, tensor([2.0, 1.0])).tolist() == [[2.0, 2.0], [3.0, 4.0]]
    assert sg.min(x, tensor([2.0, 1.0])).tolist() == [[1.0, 1.0], [2.0, 1.0]]
    assert sg.add(x, x, alpha=2).tolist() == [[3.0, 6.0], [9.0, 12.0]]
    assert sg.sub(x, 1, alpha=2)[0].tolist() == [-1.0, 0.0]
    assert sg.reshape(x, (4,)).shape == sg.flatten(x).shape == (4,)
    assert sg.permute(x, (1, 0)).tolist() == sg.transpose(x, 0, 1).tolist()
    assert sg.numel(x) == 4
    assert [y.tolist() for y in sg.var_mean(x, 0, unbiased=False)] == [[1.0, 1.0], [2.0, 3.0]]
    assert [y.tolist() for y in sg.std_mean(x, 0, correction=0, keepdim=True)] == [[[1.0, 1.0]], [[2.0, 3.0]]]
    assert [y.shape for y in sg.broadcast_tensors(x, x[0], x[0, 0])] == [(2, 2)] * 3
    assert sg.broadcast_to(x[0], (3, 2)).shape == (3, 2)
    with pytest.raises(TypeError, match="of Python scalars alone: expected a tensor among them"):
        sg.pow(2, 3)


def test_names_are_imported_on_first_use():
    code = """
import sys, stackgrad.tensor as t
assert not {f"stackgrad.tensor.{part}" for part in (*t._MORE, *t._HOMES.values())} & set(sys.modules)
from stackgrad.tensor import cat, exp, capture
assert t.exp is exp and {"cat", "einsum", "capture", "fuse", "pi"} <= set(dir(t))
from stackgrad.tensor import *
assert capture is t.capture and abs(-1) == 1 and float(1) == 1.0
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match=r"module .stackgrad\.tensor. has no attribute .nothing."):
        _ = sg.nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from stackgrad.tensor import nothing  # noqa: F401


@pytest.mark.parametrize("part", sg._MORE)
def test_each_name_is_in_one_module(part):
    dir(sg)
    names = sys.modules[f"stackgrad.tensor.{part}"].__all__
    assert sorted(names) == sorted(set(names))
    for name in names:
        assert [other for other in sg._MORE if name in sys.modules[f"stackgrad.tensor.{other}"].__all__] == [part]
        assert part == "_functions" or not callable(getattr(sg, name)) or getattr(sg, name).__doc__


def test_other_names_of_dtypes():
    assert (sg.float, sg.double, sg.long, sg.bool) == (sg.float32, sg.float64, sg.int64, sg.bool_)
    assert sg.zeros(2, dtype=sg.long).dtype == "int64"
    assert (sg.pi, sg.inf) == (np.pi, np.inf)
    assert sg.concat is sg.concatenate


@pytest.mark.parametrize(
    ("make", "dtype"),
    [(sg.FloatTensor, "float32"), (sg.DoubleTensor, "float64"), (sg.LongTensor, "int64"), (sg.BoolTensor, "bool")],
)
def test_constructors_by_dtype(make, dtype):
    assert make([[1, 0]]).dtype == dtype
    assert make(np.array([1.0, 0.0])).tolist() == [1, 0]
    with pytest.raises(TypeError, match=r"got 3: a tensor of that size is empty\(3\)"):
        make(3)


def test_casts():
    x = tensor([0.0, 1.5, -1.5], requires_grad=True)
    assert x.float() is x
    assert x.double().dtype == "float64"
    assert x.long().tolist() == [0, 1, -1]
    assert x.bool().tolist() == [False, True, True]
    assert x.type(sg.int64).dtype == x.type_as(tensor(1)).dtype == "int64"
    assert x.to(sg.float64).dtype == x.to(np.float64).dtype == x.to(tensor(1.0, dtype="float64")).dtype == "float64"
    assert x.cpu() is x
    x.double().sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 1.0]


def test_sizes():
    x = sg.zeros(2, 3)
    assert x.size == x.numel() == 6
    assert x.size() == (2, 3)
    assert x.size(0) == 2
    assert x.size(-1) == 3
    assert x.dim() == 2
    assert f"{x.size:3d}" == "  6"
    assert np.size(x) == 6
    assert tensor(1.0).size() == ()
    assert x.is_floating_point()
    with pytest.raises(IndexError, match="dim 2 is out of range for 2 dimensions"):
        x.size(2)
    with pytest.raises(IndexError, match=r"size\(0\) of a tensor without dimensions"):
        tensor(1.0).size(0)


def test_new_ones():
    x = sg.zeros(2, dtype="int64")
    assert x.new_zeros(2, 3).dtype == "int64"
    assert x.new_ones((2,), dtype="float64", requires_grad=True).requires_grad
    assert x.new_full((2,), 7).tolist() == x.new_full(2, tensor(7)).tolist() == [7, 7]
    assert x.new_empty(3).shape == (3,)
    with pytest.raises(ValueError, match=r"shape \(-1,\) is not valid"):
        x.new_zeros(-1)
