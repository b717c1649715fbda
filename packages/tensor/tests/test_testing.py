"""The table of cases: what it covers, that correct backends pass and that wrong ones are caught."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from stackgrad.tensor import OPS, REDUCTIONS, Backend, NumpyBackend, _conv
from stackgrad.tensor import _ops as ops
from stackgrad.tensor.testing import (
    CASES,
    Case,
    Draw,
    Limits,
    _elementwise,
    _special,
    draws,
    expect_close,
    expect_equal,
    expect_near,
    ulps,
    uniform,
)

settings.register_profile("unshrunk", derandomize=True, deadline=None, phases=[Phase.generate], database=None)

BACKEND = NumpyBackend()
F32, F64 = np.dtype("float32"), np.dtype("float64")


@pytest.fixture(autouse=True)
def _without_shrinking() -> Iterator[None]:
    """Failures on purpose need no shrinking."""
    settings.load_profile("unshrunk")
    yield
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def case(name: str, kind: str = "values") -> Case:
    (found,) = [c for c in CASES if (c.name, c.kind) == (name, kind)]
    return found


# --- coverage


def test_every_row_has_cases():
    names = {(c.name, c.kind) for c in CASES}
    assert len(names) == len(CASES)
    for op in OPS.values():
        assert (op.name, "values") in names
        assert ((op.name, "gradient") in names) == ((op.name, "second") in names) == any(op.grads)
        assert ((op.name, "special") in names) == ("f" in op.accepts)
    for name in REDUCTIONS:
        assert (f"reduce-{name}", "values") in names
    assert str(case("exp")) == "exp"
    assert str(case("exp", "second")) == "exp-second"


def test_every_primitive_is_called(monkeypatch):
    called = set()

    def spy(name):
        real = getattr(NumpyBackend, name)

        def method(self, *args):
            called.add(name)
            return real(self, *args)

        return method

    primitives = [name for name, value in vars(Backend).items() if callable(value) and not name.startswith("_")]
    primitives.remove("owns_memory")  # used by tensors alone, when a gradient reaches a leaf
    primitives.remove("empty_like")  # used by captured functions
    primitives.remove("plan_stage")  # used by fused functions, which have their own test modules
    primitives.remove("host_buffer")  # another object, with its own test module
    primitives.remove("from_dlpack")  # for arrays of other libraries (test_tensor)
    watched = type("Watched", (NumpyBackend,), {"name": "watched", **{name: spy(name) for name in primitives}})()
    for each in CASES:
        if each.kind == "values":
            each.run(watched, max_examples=4)
    assert called == set(primitives)


# --- random arrays


def drawn(make, count=200):
    """The results of `make` for many examples."""
    found = []

    @settings(max_examples=count)
    @given(draws())
    def collect(draw):
        found.append(make(draw))

    collect()
    return found


@pytest.mark.parametrize(
    "wanted",
    [
        lambda shape: shape == (),
        lambda shape: len(shape) == 4,
        lambda shape: 0 in shape and len(shape) > 1,
        lambda shape: 1 in shape and len(shape) > 1,
        lambda shape: any(n > 100 for n in shape),
    ],
)
def test_shapes_have_0_and_1_and_long_extents(wanted):
    assert sum(map(wanted, drawn(lambda draw: draw.shape()))) >= 5


@pytest.mark.parametrize(
    "wanted",
    [
        lambda a: a.flags.c_contiguous and a.base is None,
        lambda a: a.flags.f_contiguous and not a.flags.c_contiguous,
        lambda a: any(stride < 0 for stride in a.strides),
        lambda a: any(stride == 0 and n > 1 for stride, n in zip(a.strides, a.shape, strict=True)),
        lambda a: a.size > 1 and not a.flags.c_contiguous and not a.flags.f_contiguous and min(a.strides) > 0,
        lambda a: a.size > 0 and np.isnan(a).any(),
    ],
)
def test_layouts(wanted):
    arrays = drawn(lambda draw: draw.sample(draw.shape(), uniform(F64, specials=(np.nan,))).numpy())
    assert sum(map(wanted, arrays)) >= 3


def test_values_for_gradients_avoid_kinks():
    op = replace(OPS["abs"], kinks=(0.0, 1.01, -2.0304))
    values = _elementwise._smooth_values(op, 0)(np.random.default_rng(0), (10_000,))
    assert np.abs(np.subtract.outer(values, op.kinks)).min() > 0.0009


@given(st.data())
def test_limits_hold(data):
    limits = Limits(data.draw(st.integers(1, 6)), data.draw(st.integers(1, 100)))
    draw = data.draw(draws(limits))
    shape = draw.shape()
    assert np.prod(shape) <= limits.size
    assert sum(n > limits.extent for n in shape) <= 1
    assert np.prod(np.broadcast_shapes(*draw.shapes(3))) <= limits.size
    again = Draw(limits, draw.code)
    assert again.shape() == shape
    assert repr(again) == repr(draw)


def test_failures_shrink_to_the_smallest():
    settings.load_profile("same")
    with pytest.raises(AssertionError) as caught:
        case("relu").run(WRONG["relu"])
    assert re.search(r"wrong in 1 of \d{1,2} elements", str(caught.value))


# --- comparisons


def test_comparisons_are_strict():
    one = np.ones(3, np.float32)
    expect_equal("ones", BACKEND, one, one)
    expect_close("nan", BACKEND, np.array([np.nan, np.inf]), np.array([np.nan, np.inf]), 1e-3)
    with pytest.raises(AssertionError, match=r"x on numpy has shape \(3,\), float32: expected \(3,\), float64"):
        expect_equal("x", BACKEND, one, one.astype(F64))
    with pytest.raises(AssertionError, match=r"x on numpy has shape \(3,\), float32: expected \(1, 3\), float32"):
        expect_equal("x", BACKEND, one, one[None])
    with pytest.raises(
        AssertionError, match=r"x on numpy is wrong in 1 of 3 elements, first at \(1,\): .*1.0.*, expected .*2.0"
    ):
        expect_close("x", BACKEND, one, np.array([1, 2, 1], np.float32), 0.5)
    for found, expected in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (1.0, np.inf), (np.inf, -np.inf)):
        with pytest.raises(AssertionError, match="is wrong in 1 of 1 elements"):
            expect_near("x", np.array([found]), np.array([expected]), 1e300)


def test_units_in_the_last_place():
    one = np.ones(1, np.float32)
    above = np.nextafter(one, np.float32(2))
    expect_near("x", above, one, ulps(one, F32, 1))
    with pytest.raises(AssertionError):
        expect_near("x", np.nextafter(above, np.float32(2)), one, ulps(one, F32, 1))


# --- wrong backends

RAW = {name: getattr(NumpyBackend, name) for name in dir(Backend)}


def broken(name, change):
    """NumpyBackend with one method replaced by `change`."""
    return type("Broken", (NumpyBackend,), {"name": "broken", name: np.errstate(all="ignore")(change)})()


def result(name, change):
    """As `broken`, with `change` mapping the correct result to a wrong one."""
    return broken(name, lambda self, *args: change(getattr(NumpyBackend, name)(self, *args)))


def elementwise(name, numpy):
    def method(self, op, *operands):
        return RAW["elementwise"](self, replace(op, numpy=numpy) if op.name == name else op, *operands)

    return broken("elementwise", method)


def last_of_equals(self, name, a, dim):
    flipped = RAW["arg_reduce"](self, name, np.flip(a, dim), dim)
    return a.shape[dim] - 1 - flipped


def in_place(name, change):
    def method(self, target, *args):
        right = getattr(NumpyBackend, name)
        targets = target if isinstance(target, list) else [target]
        before = [x.copy() for x in targets]
        right(self, target, *args)
        for x, y in zip(targets, before, strict=True):
            change(x, y)

    return broken(name, method)


def shift(out):
    return out * out.dtype.type(1.001)


WRONG = {
    "exp": elementwise("exp", lambda x: np.exp(x) * x.dtype.type(1 + 1e-6)),
    "sin": elementwise("sin", lambda x: np.where(np.abs(x) < 100, np.sin(x), 0)),
    "relu": elementwise("relu", lambda x: np.where(x > 0, x, x.dtype.type(0))),
    "maximum": elementwise("maximum", lambda x, y: np.where(x > y, x, y)),
    "minimum": elementwise("minimum", lambda x, y: np.fmin(x, y)),
    "clip": elementwise("clip", lambda x, y, z: np.fmin(np.fmax(x, y), z)),
    "lt": elementwise("lt", lambda x, y: x.astype(float) < y.astype(float)),
    "mul": elementwise(
        "mul", lambda x, y: np.multiply(x, y) if x.dtype.kind != "i" else (x.astype(float) * y).astype(int)
    ),
    "sqrt": elementwise("sqrt", lambda x: np.sqrt(np.abs(x))),
    "eq": elementwise("eq", lambda x, y: (x == y).astype(np.int64)),
    "add": broken(
        "elementwise", lambda self, op, *a: RAW["elementwise"](self, op, *[x.ravel("K").reshape(x.shape) for x in a])
    ),
    "reduce-sum": broken("reduce", lambda self, r, a, dims: RAW["reduce"](self, r, a[..., :7], dims)),
    "reduce-max": broken("reduce", lambda self, r, a, dims: np.asarray(np.fmax.reduce(a, axis=dims))),
    "reduce-prod": broken(
        "reduce",
        lambda self, r, a, dims: np.asarray(r.numpy(a, axis=dims[:1]).sum(axis=tuple(d - 1 for d in dims[1:]))),
    ),
    "argmax": broken("arg_reduce", last_of_equals),
    "argmin": broken(
        "arg_reduce",
        lambda self, name, a, dim: np.asarray(np.nan_to_num(a, nan=9).argmin(axis=dim) if name == "min" else 0),
    ),
    "cumsum": broken("cumsum", lambda self, a, dim: np.cumsum(a, axis=-1, dtype=a.dtype)),
    "matmul": broken(
        "matmul", lambda self, a, b: np.matmul(a.astype(np.float16), b.astype(np.float16)).astype(a.dtype)
    ),
    "linear": broken("linear", lambda self, x, w, b, relu: x @ w.T),
    "conv2d": broken("conv2d", lambda self, x, w, *rest: RAW["conv2d"](self, x, w[:, :, ::-1], *rest)),
    "max_pool2d": broken("max_pool2d", lambda self, x, window: RAW["max_pool2d"](self, np.nan_to_num(x), window)),
    "avg_pool2d": result("avg_pool2d_grad", shift),
    "softmax": broken("softmax", lambda self, x, dim: np.exp(x) / np.exp(x).sum(dim, keepdims=True)),
    "cross_entropy": result("cross_entropy_grad", np.abs),
    "batch_norm": result("batch_norm", lambda parts: (*parts[:2], parts[2] * 1.01)),
    "batch_norm-fused": result("batch_norm_grad", lambda parts: (parts[0], shift(parts[1]), parts[2])),
    "softmax-fused": broken("softmax_grad", lambda self, g, out, dim: g * out),
    "log_softmax-fused": broken("log_softmax_grad", lambda self, g, out, dim: g - np.exp(out)),
    "cross_entropy-fused": result("cross_entropy_grad", shift),
    "dropout": broken("uniform", lambda self, shape, dtype, draw: RAW["uniform"](self, shape[::-1], dtype, draw).T),
    "uniform": broken(
        "uniform",
        lambda self, shape, dtype, draw: RAW["uniform"](self, shape, dtype, draw & np.uint64(0xFFFFFFFF)),
    ),
    "copy": broken("copy", lambda self, a, dtype=None: np.array(a, dtype or a.dtype)),
    "assign": in_place("assign", lambda target, before: target[..., :1].fill(1) if target.ndim else None),
    "reshape": broken("reshape", lambda self, a, shape: a.reshape(shape).copy()),
    "gather-scatter": broken(
        "scatter_add", lambda self, g, index, rows: RAW["scatter_add"](self, g[:-1], index[:-1], rows)
    ),
    "indexing": broken("nonzero", lambda self, mask: tuple(i[::-1].copy() for i in mask.nonzero())),
    "sgd_step": in_place("sgd_step", lambda p, before: np.copyto(p, before + (p - before) * 1.001)),
    "adam_step": in_place("adam_step", lambda p, before: np.copyto(p, before + (p - before) * 1.001)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_backend_is_caught(name):
    with pytest.raises(
        AssertionError, match=r"broken (is wrong in|has shape|is not in C order)|fused gradient|is a copy"
    ):
        case(name).run(WRONG[name])


@pytest.mark.parametrize(
    "wrong",
    [
        broken("conv2d_grads", lambda self, g, x, w, out, *rest: Backend.conv2d_grads(self, g, x, w, None, *rest)),
        broken("conv2d_grads", lambda self, *given: Backend.conv2d_grads(self, *given[:-1], (True, True, True))),
        result("conv2d_grads", lambda grads: (*grads[:2], grads[2] if grads[2] is None else shift(grads[2]))),
        result("conv2d_weight_grad", shift),
    ],
)
def test_wrong_gradients_of_a_convolution_are_caught(wrong):
    with pytest.raises(AssertionError, match=r"broken is wrong in|conv2d_grads of"):
        case("conv2d").run(wrong)


def test_an_assignment_that_ignores_overlap_is_caught():
    def assign(self, target, source):
        for i in np.ndindex(target.shape):
            target[i] = np.broadcast_to(source, target.shape)[i]

    with pytest.raises(AssertionError, match="broken is wrong"):
        case("assign-overlapping").run(broken("assign", assign))


@pytest.mark.parametrize(
    ("name", "kind", "gradient"),
    [
        ("tanh", "gradient", lambda g, out: g * (1 - out)),
        ("tanh", "second", lambda g, out: g * (1 - out.detach() * out)),
        ("exp", "gradient", lambda g, out: g * out * 1.001),
        ("abs", "gradient", lambda g, x: g),
    ],
)
def test_a_row_with_a_wrong_gradient_is_caught(monkeypatch, name, kind, gradient):
    monkeypatch.setitem(ops.OPS, name, replace(OPS[name], grads=(gradient,)))
    with pytest.raises(AssertionError, match="by central differences"):
        case(name, kind).run("numpy")


@pytest.mark.parametrize(
    ("name", "gradients"),
    [
        ("relu", (lambda g, out: (out > 0).where(g, 0.0),)),  # stops at NaN
        ("relu", (lambda g, out: g * (out > 0).astype(g.dtype),)),  # 0 times infinity
        ("sign", (lambda g: g * 0,)),
        ("sqrt", (lambda g, out: g / (out + out).maximum(1e-300),)),
        ("pow", (lambda g, x, y: g * (y == 0).where(0.0, y * x ** (y - 1)), OPS["pow"].grads[1])),
    ],
)
def test_a_wrong_gradient_at_special_values_is_caught(monkeypatch, name, gradients):
    row = replace(OPS[name], grads=gradients)
    monkeypatch.setitem(ops.OPS, name, row)
    with pytest.raises(AssertionError, match=f"{name}, .* is wrong in"):
        Case(name, "special", partial(_special.check_row, row)).run("numpy")


def test_a_row_without_special_values_says_how_to_get_them():
    with pytest.raises(AssertionError, match=r"new has no special values: run tools/special_values.py"):
        _special.expected("rows", "new")


WRONG_GRADIENTS = {
    "sum": broken(
        "plan_expand",
        lambda self, a, shape: (
            lambda other: RAW["plan_expand"](self, a, shape)(other * 2 if a.ndim == len(shape) else other)
        ),
    ),
    "matmul": result("matmul", lambda out: out.copy() if out.size % 2 else out * 1.001 + 0.01),
    "conv2d": result("conv2d_weight_grad", shift),
    "max_pool2d": result("max_pool2d_grad", shift),
    "avg_pool2d": result("avg_pool2d_grad", shift),
    "softmax": result("softmax_grad", lambda out: out + out.dtype.type(0.01)),
    "batch_norm": result("batch_norm_grad", lambda parts: (parts[0] + 0.01, *parts[1:])),
    "indexing": result("scatter_add", shift),
}


@pytest.mark.parametrize("name", WRONG_GRADIENTS)
def test_a_wrong_gradient_kernel_is_caught(name):
    with pytest.raises(AssertionError, match="by central differences"):
        case(name, "gradient").run(WRONG_GRADIENTS[name])


def test_a_wrong_second_derivative_is_caught(monkeypatch):
    right = _conv.Conv2dInputGrad.backward
    monkeypatch.setattr(_conv.Conv2dInputGrad, "backward", staticmethod(lambda ctx, g: (None, right(ctx, g)[1])))
    case("conv2d", "gradient").run("numpy")
    with pytest.raises(AssertionError, match="by central differences"):
        case("conv2d", "second").run("numpy", max_examples=20)
