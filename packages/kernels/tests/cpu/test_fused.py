"""Fused functions as kernels, compared with NumPy, for all layouts of operands and reductions of results."""

import math
import subprocess
import sys

import numpy as np
import pytest

from stackgrad.kernels.cpu import _fused
from stackgrad.tensor import capture, from_numpy, fuse, grad
from stackgrad.tensor.testing import RandomFunction, check_fused

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)


def gelu(x):
    return 0.5 * x * (1 + (x * math.sqrt(0.5)).erf())


def chain(x, row, column):
    return ((x * row + column).tanh() * row - x).sigmoid()


def smooth(x, y, beta):
    d = (x - y).abs()
    return (d < beta).where(d * d * (0.5 / beta), d - 0.5 * beta).mean()


def softmax(x):
    e = (x - x.max(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def moments(x):
    return x.mean((0, 2)), (x * x).max(1), x.min(), x.sum((0, 1))


def switched(x, mask, index):
    return mask.where(x * index, -x).astype("float64") + (x > index)


ROWS = [gelu, chain, smooth, softmax, moments, switched]


def operands(f, shape, dtype):
    """The operands of f: arrays, some of which broadcast, and scalars."""
    full = (RNG.standard_normal(shape) * 1.5).astype(dtype)
    if f is chain:
        row, column = (RNG.standard_normal(n).astype(dtype) for n in (shape[-1:], (*shape[:-1], 1)))
        return [full, row, column]
    if f is smooth:
        return [full, RNG.standard_normal(shape).astype(dtype), 0.7]
    if f is switched:
        return [full, RNG.random(shape) < 0.5, RNG.integers(-2, 3, shape[-1:])]
    return [full]


def arranged(x, how):
    """The tensor with another layout in memory."""
    if how == "transposed" and x.ndim > 1:
        return from_numpy(np.ascontiguousarray(x.numpy().T), backend=x.backend).T.detach()
    if how == "apart":
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x.numpy()
        return from_numpy(wide, backend=x.backend)[..., ::2].detach()
    return x


def results(f, arrays, how, backend):
    """Results of f, and the gradients of a weighted sum of them."""
    given = [from_numpy(x.copy(), backend=backend) if isinstance(x, np.ndarray) else x for x in arrays]
    given = [arranged(x, how) if hasattr(x, "shape") else x for x in given]
    leaves = [x.requires_grad_() for x in given if hasattr(x, "shape") and x.dtype.kind == "f"]
    made = f(*given)
    made = list(made) if isinstance(made, tuple) else [made]
    return [x.detach().numpy() for x in [*made, *grad(sum((x * x).sum() for x in made), leaves)]]


@pytest.mark.parametrize("how", ["in order", "transposed", "apart"])
@pytest.mark.parametrize("f", ROWS)
def test_it_is_what_numpy_computes(f, how):
    for shape in ((3, 5, 7), (4, 1, 33), (2, 3, 1)) if (f, how) == (chain, "in order") else ((3, 5, 7),):
        arrays = operands(f, shape, "float64")
        expected = results(f, arrays, how, "numpy")
        for have, want in zip(results(fuse(f), arrays, how, "cpu"), expected, strict=True):
            assert (have.shape, have.dtype) == (want.shape, want.dtype)
            np.testing.assert_allclose(have, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(100_000,), (3, 20_000), (700, 65), (9000, 3), (40, 40, 40)])
def test_many_chunks(shape):
    """Sums of many rows, of long rows, and of both, in float32, compared with float64."""

    def f(x, row, column):
        y = (x * row + column).tanh()
        return y, y.sum(0), y.sum(-1), y.sum(), y.max(), y.mean(0)

    arrays = operands(chain, shape, "float32")
    found = results(fuse(f), arrays, "in order", "cpu")
    expected = results(f, [x.astype("float64") for x in arrays], "in order", "numpy")
    for have, want in zip(found, expected, strict=True):
        assert have.dtype == np.float32
        np.testing.assert_allclose(have, want, rtol=2e-5, atol=2e-5 * np.abs(want).max())


def test_more_dimensions_than_a_walk_has():
    shape = (2, 3, 2, 3, 2, 3)
    x, y = RNG.standard_normal(shape), RNG.standard_normal((3, 1, 3, 1, 3))
    f = fuse(lambda x, y: (x * y, (x + y).sum((1, 3, 5))))
    for order in (range(6), (5, 3, 1, 4, 2, 0)):
        order = tuple(order)
        permuted = from_numpy(np.ascontiguousarray(x.transpose(order)), backend="cpu").permute(
            np.argsort(order).tolist()
        )
        product, total = f(permuted, from_numpy(y, backend="cpu"))
        np.testing.assert_allclose(product.numpy(), x * y)
        np.testing.assert_allclose(total.numpy(), (x + y).sum((1, 3, 5)))


def test_a_product_of_many():
    x = RNG.standard_normal((3, 4, 5))
    made = fuse(lambda x: (x * 2).prod(1))(from_numpy(x, backend="cpu"))
    np.testing.assert_allclose(made.numpy(), (x * 2).prod(1))


@pytest.mark.parametrize("seed", range(6))
def test_random_functions(seed):
    from stackgrad.tensor import get_backend

    check_fused(RandomFunction(np.random.default_rng(seed)), get_backend("cpu"), order=1)


def test_the_same_bits_for_any_number_of_threads(run_serially):
    arrays = operands(chain, (300, 200), "float32")
    found = []
    for serial in (True, False):
        run_serially(serial)
        found.append(results(fuse(chain), arrays, "in order", "cpu"))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("f", [chain, smooth, softmax])
def test_captured_bitwise(f):
    fused = fuse(f)
    arrays = operands(f, (50, 60), "float32")
    leaf, *rest = [from_numpy(x, backend="cpu") if isinstance(x, np.ndarray) else x for x in arrays]
    leaf.requires_grad = True

    def step(*tensors):
        leaf.grad = None
        out = fused(leaf, *tensors, *rest[len(tensors) :])
        (out * out).sum().backward()
        return out.detach(), leaf.grad.clone()

    tensors = [x for x in rest if hasattr(x, "shape")]
    called = [x.numpy().copy() for x in step(*tensors)]
    captured = capture(step)
    for _ in range(4):
        for a, b in zip(captured(*tensors), called, strict=True):
            np.testing.assert_array_equal(a.numpy(), b)


def test_a_captured_function_follows_variables_of_a_fused_one():
    scale = 1.0
    fused = fuse(lambda x: x * scale)
    captured = capture(lambda x: fused(x))
    x = from_numpy(np.ones(3, "f4"), backend="cpu")
    for scale in (1.0, 1.0, 1.0, 2.0, 2.0, 2.0):
        np.testing.assert_array_equal(captured(x).numpy(), np.full(3, scale))


def test_a_new_scalar_compiles_nothing(monkeypatch):
    x = from_numpy(RNG.standard_normal(5), backend="cpu")
    f = fuse(lambda x, n, m: x * n + m)
    f(x, 1.5, 2)
    compiled = len(_fused._entries)
    for n, m in ((2.5, 3), (-1e10, -7), (math.pi, 0)):
        np.testing.assert_allclose(f(x, n, m).numpy(), x.numpy() * n + m)
    assert len(_fused._entries) == compiled


def test_kernels_of_other_processes_are_not_confused(tmp_path):
    """Machine code on disk has names of functions; two kernels of the same name would be one in a process."""
    program = """
import sys
import numpy as np
from stackgrad.tensor import from_numpy, fuse
x = from_numpy(np.linspace(-2, 2, 9), backend="cpu")
for f, expected in ((lambda x: x.exp(), np.exp), (lambda x: x * 3, lambda x: x * 3), (lambda x: x.sin(), np.sin)):
    if f.__code__.co_names[:1] == ("sin",) or sys.argv[1] == "all":
        np.testing.assert_allclose(fuse(f)(x).numpy(), expected(x.numpy()), rtol=1e-14)
"""
    for which in ("one", "all", "all"):
        done = subprocess.run(
            [sys.executable, "-c", program, which],
            env={"STACKGRAD_CACHE_DIR": str(tmp_path), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
