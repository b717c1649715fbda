"""Softmax beyond the table of cases: at the edges of blocks, and targets out of range."""

import math

import numpy as np
import pytest

from stackgrad.kernels.cuda import _softmax
from stackgrad.tensor import from_numpy, get_backend, softmax

RNG = np.random.default_rng(0)

EDGES = sorted(
    {n + by for lanes, _, longest in _softmax.SHAPES for n in (lanes, longest) if n < math.inf for by in (-1, 0, 1)}
    | {2 * _softmax.SHAPES[-1][0] + 1, _softmax.SHAPES[1][2] + 7}
)[1:]


@pytest.mark.parametrize("k", EDGES)
@pytest.mark.parametrize("rows", [1, _softmax.SHAPES[1][1] + 1])
def test_rows_at_the_edges_of_blocks(rows, k):
    x, g = (RNG.standard_normal((rows, k)).astype(np.float32) * 5 for _ in range(2))
    found, expected = (
        [
            backend.to_numpy(array)
            for out in [(backend.softmax(on(x), 1), backend.log_softmax(on(x), 1))]
            for array in (*out, backend.softmax_grad(on(g), out[0], 1), backend.log_softmax_grad(on(g), out[1], 1))
        ]
        for backend in map(get_backend, ("cuda", "numpy"))
        for on in [backend.from_numpy]
    )
    for mine, its in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, its, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("indices", [[0], [3], [0, 1, 2], list(range(9))])
def test_minus_infinity(indices):
    """It contributes 0 at any position; for a row of nothing else softmax is undefined."""
    x = RNG.standard_normal((2, 9)).astype(np.float32)
    x[0, indices] = -np.inf
    rows = softmax(from_numpy(x, backend="cuda"), 1).numpy()
    kept = np.exp(x.astype(np.float64))
    if len(indices) == 9:
        assert np.isnan(rows[0]).all()
    else:
        np.testing.assert_allclose(rows, kept / kept.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(rows[1].sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("k", [2, _softmax.SHAPES[0][2] + 1, _softmax.SHAPES[1][2] + 1])
def test_a_target_out_of_range(k):
    """It is checked before; if memory has changed since, the kernel reads and writes nothing out of bounds."""
    backend = get_backend("cuda")
    x = backend.from_numpy(RNG.standard_normal((4, k)).astype(np.float32))
    target = backend.from_numpy(np.array([0, -1, k, 10**12]))
    losses, log_probs = backend.cross_entropy(x, target)
    assert np.isnan(backend.to_numpy(losses)).tolist() == [False, True, True, True]
    grad = backend.to_numpy(backend.cross_entropy_grad(losses, log_probs, target))
    assert np.isfinite(grad[0]).all()


@pytest.mark.parametrize("key", [slice(None, None, 2), slice(None, None, -2), None])
def test_gradients_of_losses_with_strides(key):
    backends = [get_backend(name) for name in ("cuda", "numpy")]
    x, g = RNG.standard_normal((3, 4)).astype(np.float32), RNG.standard_normal(5).astype(np.float32)
    target, found = np.array([3, 0, 1]), []
    for backend in backends:
        one = backend.from_numpy(g)
        grads = backend.expand(backend.slice(one, (slice(1),)), (3,)) if key is None else backend.slice(one, (key,))
        _, log_probs = backend.cross_entropy(backend.from_numpy(x), backend.from_numpy(target))
        found.append(backend.to_numpy(backend.cross_entropy_grad(grads, log_probs, backend.from_numpy(target))))
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)
