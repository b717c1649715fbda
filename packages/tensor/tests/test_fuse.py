"""Fused functions: results and gradients match the function itself; when tracing happens; errors."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.tensor import NumpyBackend, from_numpy, fuse, grad, no_grad, observed, tensor, where, zeros
from stackgrad.tensor._stage import Call, Stage
from stackgrad.tensor._trace import Trace
from stackgrad.tensor.testing import RandomFunction, check_fused

RNG = np.random.default_rng(0)
SCALE = 2.0


class Composed(NumpyBackend):
    """Computes each stage with NumPy operations, to test how a function becomes stages."""

    name = "composed"
    fuses = True


COMPOSED = Composed()


def random(*shape, backend=COMPOSED):
    x = from_numpy(RNG.standard_normal(shape), backend=backend)
    x.requires_grad = True
    return x


@pytest.fixture
def traces(monkeypatch):
    """The traces made, including those of gradients."""
    made = []
    init = Trace.__init__

    def noted(trace, *args, **kwargs):
        init(trace, *args, **kwargs)
        made.append(trace)

    monkeypatch.setattr(Trace, "__init__", noted)
    return made


@given(st.integers(0, 2**32))
def test_it_computes_what_the_function_does(seed):
    check_fused(RandomFunction(np.random.default_rng(seed)), COMPOSED)


@given(st.integers(0, 2**32))
def test_without_fusing_it_is_the_function_itself(seed):
    check_fused(RandomFunction(np.random.default_rng(seed), steps=4), NumpyBackend(), order=1)


@pytest.mark.parametrize("shape", [(0,), (2, 0), ()])
def test_shapes_without_elements_or_dimensions(shape):
    x = random(*shape)
    (g,) = grad(fuse(lambda x: x.exp() * x)(x).sum(), x)
    assert g.shape == shape
    np.testing.assert_allclose(g.numpy(), np.exp(x.detach().numpy()) * (1 + x.detach().numpy()))


# --- when it is traced


def test_it_is_called_once_for_each_form():
    calls = []

    @fuse
    def f(x, y=1.0):
        calls.append(x.shape)
        return x * y

    x = random(2, 3)
    for y in (0.5, 2.5, -1e300, math.inf):
        np.testing.assert_array_equal(f(x, y).detach().numpy(), x.detach().numpy() * y)
    np.testing.assert_array_equal(f(x, y=3.0).detach().numpy(), x.detach().numpy() * 3)
    f(random(3))
    f(random(3))
    assert calls == [(2, 3), (2, 3), (3,)]  # with a scalar, by name, and without


def test_scalar_arithmetic_is_that_of_python():
    @fuse
    def f(x, n, p):
        return x * ((1 - p) ** -1) + n / 4 + n**3 - abs(-n) + (n > 2) + n // 2 + p % 0.3 - 7 // n + 7 % n

    for n, p in ((3, 0.25), (2, 0.75), (-1, -2.0)):
        x = random(4)
        expected = x.detach().numpy() * ((1 - p) ** -1) + n / 4 + n**3 - abs(-n) + (n > 2)
        expected += n // 2 + p % 0.3 - 7 // n + 7 % n
        np.testing.assert_allclose(f(x, n, p).detach().numpy(), expected, rtol=1e-14)


def test_a_scalar_affects_the_dtype_as_in_the_function_itself():
    for x in (tensor([1, 2]), tensor([1.0, 2.0]), tensor([1.0], dtype="float64"), tensor([True]), tensor(2.0)):
        x = x.to(COMPOSED)
        for scalar in (2, 0.5, np.float64(0.5), np.int64(3)):
            assert fuse(lambda x, n: x + n)(x, scalar).dtype == (x + scalar).dtype


def test_an_integer_whose_value_is_needed_is_part_of_the_form():
    f = fuse(lambda x, dim: x.exp().sum(dim))
    x = random(2, 3)
    for dim in (0, 1, -1, 0):
        np.testing.assert_allclose(f(x, dim).detach().numpy(), np.exp(x.detach().numpy()).sum(dim))


def test_arguments_that_are_not_scalars_are_part_of_the_form():
    @fuse
    def f(x, negative, mode):
        return (-x if negative else x) * (2 if mode == "twice" else 1)

    x = random(3)
    for negative in (True, False, True):
        for mode in ("twice", None):
            expected = x.detach().numpy() * (-1 if negative else 1) * (2 if mode else 1)
            np.testing.assert_array_equal(f(x, negative, mode=mode).detach().numpy(), expected)


def test_it_follows_the_variables_that_it_uses():
    factor = 1.0

    @fuse
    def f(x):
        return x * factor * SCALE

    x = random(3)
    np.testing.assert_array_equal(f(x).detach().numpy(), x.detach().numpy() * 2)
    factor = 3.0
    np.testing.assert_array_equal(f(x).detach().numpy(), x.detach().numpy() * 6)


def test_a_fused_function_called_by_another_becomes_part_of_it(traces):
    inner = fuse(lambda x, n: x.exp() * n)
    outer = fuse(lambda x, n: inner(x + 1, n * 2) + inner(x, n))
    x = random(3)
    e = np.exp(x.detach().numpy())
    np.testing.assert_allclose(outer(x, 0.5).detach().numpy(), np.exp(x.detach().numpy() + 1) + e / 2)
    forward = traces[0]
    assert [type(stage) for stage in forward._forward.stages] == [Stage]


def test_methods_can_be_fused():
    class Layer:
        @fuse
        def double(self, x):
            return x * 2

    x = random(3)
    np.testing.assert_array_equal(Layer().double(x).detach().numpy(), x.detach().numpy() * 2)


def test_it_keeps_name_docstring_and_signature():
    @fuse
    def f(x, slope: float = 0.1):
        """What it does."""

    assert (f.__name__, f.__doc__, str(inspect.signature(f))) == ("f", "What it does.", "(x, slope: float = 0.1)")


# --- kernels


def stages_of(f, *operands):
    """The stages of a call of f, and the gradient."""
    made = []
    init = Trace.__init__

    def noted(trace, *args, **kwargs):
        init(trace, *args, **kwargs)
        made.append(trace)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trace, "__init__", noted)
        f(*operands)
    recorded = next(iter(made[0]._recorded.values()))
    return recorded._program.stages, recorded._gradients[0]


def test_equal_expressions_are_computed_once():
    stages, gradient = stages_of(fuse(lambda x: (x * x).exp() + (x * x).exp() * (x * x)), random(3))
    assert [line.op for line in stages[0].lines] == ["mul", "exp", "mul", "add"]
    assert [type(stage) for stage in gradient._program.stages] == [Stage]
    assert [line.op for line in gradient._program.stages[0].lines].count("exp") == 1


def test_each_reduction_ends_a_kernel():
    def log_softmax(x):
        shifted = x - x.max(1, keepdim=True)
        return shifted - shifted.exp().sum(1, keepdim=True).log()

    with no_grad():
        x = random(3, 4)
        expected = log_softmax(x).numpy()
    trace = fuse(log_softmax)
    stages, _ = stages_of(trace, x)
    assert [[result.reduction for result in stage.results] for stage in stages] == [["max"], ["sum"], [None]]
    np.testing.assert_allclose(trace(x).detach().numpy(), expected, rtol=1e-14)


def test_results_of_one_shape_share_a_kernel():
    stages, _ = stages_of(fuse(lambda x: (x.exp(), (x * x).sum(0), x.exp().sum())), random(3, 4))
    assert len(stages) == 1
    assert [result.reduction for result in stages[0].results] == [None, "sum", "sum"]


def test_costly_repeated_expressions_are_computed_first():
    stages, _ = stages_of(fuse(lambda x, row: x * row.exp() + row), random(20, 4), random(4))
    assert [stage.shape for stage in stages] == [(4,), (20, 4)]
    assert [line.op for line in stages[1].lines] == ["mul", "add"]


def test_the_gradient_of_the_largest_goes_to_the_first():
    x = from_numpy(np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), backend=COMPOSED)
    x.requires_grad = True
    f = fuse(lambda x: (x * 2).max(1))
    (g,) = grad(f(x).sum(), x)
    np.testing.assert_array_equal(g.numpy(), [[0, 2, 0], [2, 0, 0]])
    forward, gradient = stages_of(f, random(4, 50))
    assert [stage.method for stage in forward if isinstance(stage, Call)] == ["arg_reduce"]  # fewer bytes than x
    assert [x.kind for x in gradient.saved] == ["call"]


# --- what is kept for the gradient


def saved(f, *operands):
    """The kinds and shapes of the values that the gradient is computed from, besides g."""
    _, gradient = stages_of(fuse(f), *operands)
    return [(x.kind, x.what if x.kind in ("input", "op") else None) for x in gradient.saved]


def test_a_result_is_read_again_rather_than_operands():
    assert saved(lambda x: x.exp(), random(5)) == [("op", "exp")]
    assert saved(lambda x, y: (x * 2 + y).sigmoid(), random(5), random(5)) == [("op", "sigmoid")]
    assert saved(lambda x: (x * 2).tanh(), random(5)) == [("op", "tanh")]


def test_operands_are_read_again_rather_than_intermediate_values():
    assert saved(lambda x: x * x.sigmoid(), random(5)) == [("input", 0)]
    assert saved(lambda x, y: (x * y).erf(), random(5), random(5)) == [("input", 0), ("input", 1)]


def test_intermediate_values_are_kept_if_the_operands_are_larger():
    operands = [random(5) for _ in range(4)]
    assert saved(lambda a, b, c, d: (a + b + c + d).erf() ** 2, *operands) == [("op", "add")]
    rows = [random(1) for _ in range(4)]  # few bytes
    assert saved(lambda x, a, b, c, d: (x + a + b + c + d).erf() ** 2, random(50), *rows)[:1] == [("input", 4)]


def test_a_gradient_that_is_linear_keeps_nothing():
    assert saved(lambda x, y: x * 2 - y, random(5), random(5)) == []


# --- results


def test_results_share_no_memory():
    x = random(2, 3).detach()
    transposed, again, twice, once = fuse(lambda x: (x.T, x.exp(), x.exp(), x.unsqueeze(0)))(x)
    arrays = [x.data, transposed.data, again.data, twice.data, once.data]
    for i, a in enumerate(arrays):
        for b in arrays[i + 1 :]:
            assert not np.shares_memory(a, b)


def test_an_operand_and_a_result_given_twice_are_themselves():
    def f(x):
        y = x * 2
        return x, y, y, x.detach()

    x = random(3)
    a, y, z, b = fuse(f)(x)
    assert a is x
    assert y is z
    assert (b.requires_grad, b.data is x.data) == (False, True)


def test_results_without_a_gradient_require_none():
    x, y = random(3), random(3).detach()
    whole, part = fuse(lambda x, y: (x.sign().detach() * y, x * y))(x, y)
    assert (whole.requires_grad, part.requires_grad) == (False, True)
    with no_grad():
        assert not fuse(lambda x: x * 2)(x).requires_grad


def test_a_saved_tensor_that_changes_is_noticed():
    x = random(3)
    y = fuse(lambda x: x.exp())(x)
    with no_grad():
        y.add_(1)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_it_is_observed():
    seen = []
    with observed(lambda function, args, out: seen.append((function.__name__, out.shape))):
        fuse(lambda x: x * 2)(random(3))
    assert seen == [("Fused", (3,))]


# --- what is refused


def branching(x):
    y = x * 2
    return y if y.sum() > 0 else -y


OUTSIDE = tensor([1.0])


@pytest.mark.parametrize("backend", [COMPOSED, NumpyBackend()], ids=["fused", "as it is"])
@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (branching, "it reads or branches on a value"),
        (lambda x: x * x.sum().item(), "it reads or branches on a value"),
        (lambda x: x * float(x.sum()), "it reads or branches on a value"),
        (lambda x: x * OUTSIDE.to(x.backend if x.backend.name != "fuse" else "numpy"), "pass the tensor as one"),
        (lambda x: zeros(3) + x, "pass the tensor as one"),
        (lambda x: x.mul_(2), "it writes in place: compute a new tensor"),
        (lambda x: x.reshape(3, 1) @ x.reshape(1, 3), "matmul is not computed element by element"),
        (lambda x: x[1:], "it slices a tensor: slice it outside"),
        (lambda x: x.cumsum(0)[x > 0], "it reads or branches on a value|nonzero is not"),
        (lambda x: x.reshape(3, 1).expand(3, 2).reshape(6), r"it may only add or drop dimensions of extent 1"),
        (lambda x: 2.0, "it returned float: expected a tensor computed from its arguments"),
        (lambda x: (x, where(OUTSIDE > 0, 1.0, 0.0)), "it returned Tensor: expected a tensor computed from"),
    ],
)
def test_functions_that_cannot_be_fused(f, reason, backend):
    x = from_numpy(RNG.standard_normal(3), backend=backend)
    with pytest.raises(TypeError, match=reason) as raised:
        fuse(f)(x)
    assert str(raised.value).startswith(f"{f.__name__} cannot be fused: ")


@pytest.mark.parametrize("f", [lambda x: x.prod(0), lambda x: x.cumsum(0)])
def test_functions_without_a_fused_gradient(f):
    x = random(3)
    with no_grad():
        np.testing.assert_allclose(fuse(f)(x).numpy(), f(x).numpy())
    with pytest.raises(TypeError, match="cannot be fused if a gradient is needed: in the gradient of a reduction such"):
        fuse(f)(x)


def test_the_line_is_named():
    with pytest.raises(TypeError) as raised:
        fuse(branching)(random(3))
    lines = str(raised.value).splitlines()
    number = inspect.getsourcelines(branching)[1] + 2
    assert lines[1] == f'  File "{__file__}", line {number}, in branching'
    assert lines[2] == "    return y if y.sum() > 0 else -y"


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda x, n: x if n > 0 else -x, "it branches on a scalar: pass a bool"),
        (lambda x, n: x * math.sqrt(n), "it asks for the value of a scalar"),
        (lambda x, n: x * int(n), "it asks for the value of a scalar"),
        (lambda x, n: x.sum(n * 2), "it uses a computed scalar as an integer"),
    ],
)
def test_scalars_have_no_value_yet(f, reason):
    with pytest.raises(TypeError, match=reason):
        fuse(f)(random(3), 1)


def test_arguments():
    f = fuse(lambda *operands: operands[0])
    with pytest.raises(TypeError, match="which is fused, was given no tensor: expected at least one"):
        f(2.0)
    with pytest.raises(TypeError, match="unhashable type: 'list': pass tensors, scalars, or hashable objects"):
        f(random(3), [1, 2])
    with pytest.raises(ValueError, match=r"do not mix: bring one over with .to\('composed'\)"):
        f(random(3), tensor([1.0]))


def test_errors_raised_by_the_function_pass():
    with pytest.raises(ValueError, match=r"shapes \(3,\) and \(2,\) do not broadcast"):
        fuse(lambda x, y: x + y)(random(3), random(2))
    with pytest.raises(ZeroDivisionError):
        fuse(lambda x: x * (1 / 0))(random(3))
