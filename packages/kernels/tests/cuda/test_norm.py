"""Batch normalisation at the edges of its blocks and pieces, for images of any layout."""

import numpy as np
import pytest

from stackgrad.kernels.cuda._channels import EACH, ENOUGH, PIXELS, PLANES, SHORT, cut_of
from stackgrad.tensor import NumpyBackend, batch_norm, get_backend, grad, ones, tensor, zeros

RNG = np.random.default_rng(0)
CUDA = get_backend("cuda")

LAYOUTS = {
    "NCHW": CUDA.from_numpy,
    "channels last": lambda x: CUDA.permute(CUDA.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 1))), (0, 2, 1)),
    "backwards": lambda x: CUDA.slice(
        CUDA.from_numpy(np.ascontiguousarray(x[::-1, ::-1])), (slice(None, None, -1),) * 2
    ),
    "with steps": lambda x: CUDA.slice(
        CUDA.from_numpy(np.repeat(x, 2, axis=2)), (slice(None),) * 2 + (slice(None, None, 2),)
    ),
}


def check(shape, dtype="float32", layout=CUDA.from_numpy, relu=True, g_layout=None):
    """Compare with the composed form, by NumPy in float64."""
    rtol = 3e-5 if dtype == "float32" else 1e-12
    x, g = RNG.standard_normal((2, *shape)).astype(dtype)
    x = 3 * x + 5
    weight, bias = RNG.uniform(-2, 2, (2, shape[1])).astype(dtype)
    exact = [a.astype(np.float64) for a in (x, weight, bias)]
    known = [CUDA.from_numpy(a) for a in (weight, bias)]
    expected = NumpyBackend().batch_norm(*exact, 1e-5, relu)
    found = CUDA.batch_norm(layout(x), *known, 1e-5, relu)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(CUDA.to_numpy(a), b, rtol, rtol * 10)
    kept = CUDA.to_numpy(found[0]) > 0 if relu else np.ones(shape, bool)  # near 0 rounding decides the sign
    expected = NumpyBackend().batch_norm_grad(g.astype(np.float64) * kept, *exact, *expected[1:], 1e-5, False)
    grads = CUDA.batch_norm_grad((g_layout or layout)(g), layout(x), *known, *found[1:], 1e-5, relu)
    for a, b in zip(grads, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(CUDA.to_numpy(a), b, rtol * 10, rtol * 10 * max(1, np.abs(b).max()))
    return found[0], grads[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, dtype):
    for channels in (1, PIXELS[0], PIXELS[0] + 1):
        check((2, channels, SHORT + 1), dtype, LAYOUTS[layout], relu=channels > 1)


def test_results_keep_the_memory_order():
    last = LAYOUTS["channels last"]
    for image in check((2, 3, 5), layout=last) + check((2, 3, 5), layout=last, g_layout=CUDA.from_numpy):
        assert CUDA.permute(image, (0, 2, 1)).is_contiguous
    for image in check((2, 3, 5), g_layout=last):
        assert image.is_contiguous


@pytest.mark.parametrize("by", [-1, 0, 1])
@pytest.mark.parametrize(
    ("form", "plane"), [(PIXELS, 1), (PIXELS, SHORT - 1), (PLANES, SHORT), (PLANES, 2 * SHORT + 1)]
)
def test_edges_of_one_read(form, plane, by):
    """Numbers of pixels around those that a block reads at a time, with planes that end anywhere among them."""
    images = -(-form[1] * EACH // plane) + by
    shape = (images, 2, plane)
    assert cut_of(CUDA.from_numpy(np.zeros(shape, np.float32)), False)[0] == form
    check(shape)


@pytest.mark.parametrize("channels", [1, 2, ENOUGH, ENOUGH + 1])
@pytest.mark.parametrize("form", [PIXELS, PLANES])
def test_edges_of_pieces(form, channels):
    """More pixels than all blocks read at a time: pieces get longer, and the last one is shorter than the rest."""
    pixels = form[1] * EACH * (ENOUGH // -(-channels // form[0]) or 1) + 1
    x = CUDA.from_numpy(np.zeros((pixels, channels, 1) if form == PIXELS else (1, channels, pixels), np.float32))
    found, cut = cut_of(x, False)
    assert (found, cut.length) == (form, 2 * form[1] * EACH)
    assert cut.pieces == -(-pixels // cut.length)
    check(x.shape)


def test_the_variance_of_values_far_from_zero():
    x = (RNG.standard_normal((7, 2, 3)) + 3000).astype("float32")
    known = CUDA.from_numpy(np.ones(2, "float32")), CUDA.from_numpy(np.zeros(2, "float32"))
    _, mean, var = CUDA.batch_norm(CUDA.from_numpy(x), *known, 1e-5, False)
    np.testing.assert_allclose(CUDA.to_numpy(mean), x.mean((0, 2), dtype=np.float64), rtol=1e-6)
    # A piece's mean is rounded like the values, and so is its distance from that of another piece. The mean of the
    # squares minus the square of the mean would be wrong by about 1.
    rtol = 2 * np.spacing(np.float32(3000))
    np.testing.assert_allclose(CUDA.to_numpy(var), x.var((0, 2), dtype=np.float64), rtol=rtol)


def test_nan_stays_in_its_channel():
    x = RNG.standard_normal((3, 2, 4)).astype("float32")
    x[1, 0, 2] = np.nan
    known = CUDA.from_numpy(np.ones(2, "float32")), CUDA.from_numpy(np.zeros(2, "float32"))
    out, mean, var = map(CUDA.to_numpy, CUDA.batch_norm(CUDA.from_numpy(x), *known, 1e-5, True))
    assert np.isnan(out[:, 0]).all()
    assert np.isnan([mean[0], var[0]]).all()
    assert np.isfinite(out[:, 1]).all()


def test_relu_masks_the_same_elements_forward_and_backward():
    """Bitwise, for values that rounding puts on either side of zero."""
    x = tensor(np.tile(np.float32([1, 2, 3]), 20).reshape(-1, 1), requires_grad=True, backend="cuda")
    weight, bias = ones(1, requires_grad=True, backend="cuda"), zeros(1, requires_grad=True, backend="cuda")
    out, _, _ = batch_norm(x, weight, bias, activation="relu")
    (bias_grad,) = grad(out.sum(), bias)
    assert bias_grad.item() == (out.detach().numpy() > 0).sum()
