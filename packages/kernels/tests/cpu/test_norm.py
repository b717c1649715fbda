"""Batch normalisation at the edges of its chunks and vectors, for images of any layout."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import _norm
from stackgrad.kernels.cpu._parallel import CHUNK
from stackgrad.tensor import NumpyBackend, batch_norm, grad, ones, tensor, zeros

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)


LAYOUTS = {
    "NCHW": np.ascontiguousarray,
    "channels last": channels_last,
    "backwards": lambda x: np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1],
    "with steps": lambda x: np.repeat(x, 2, axis=2)[..., ::2],
}


def operands(shape, dtype):
    x, g = RNG.standard_normal((2, *shape)).astype(dtype)
    weight, bias = RNG.uniform(-2, 2, (2, shape[1])).astype(dtype)
    return g, 3 * x + 5, weight, bias


def check(shape, dtype, layout, relu, rtol):
    """Compare with the composed form, by NumPy in float64."""
    g, x, weight, bias = operands(shape, dtype)
    exact = [a.astype(np.float64) for a in (x, weight, bias)]
    expected = NumpyBackend().batch_norm(*exact, 1e-5, relu)
    found = _norm.batch_norm(layout(x), weight, bias, 1e-5, relu)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol, rtol * 10)
    kept = found[0] > 0 if relu else np.ones(shape, bool)  # near 0 rounding decides the sign
    expected = NumpyBackend().batch_norm_grad(g.astype(np.float64) * kept, *exact, *expected[1:], 1e-5, False)
    found = _norm.batch_norm_grad(layout(g), layout(x), weight, bias, *found[1:], 1e-5, relu)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol * 10, rtol * 10 * max(1, np.abs(b).max()))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 2e-5), ("float64", 1e-12)])
def test_channels_around_a_vector(dtype, rtol, layout, relu):
    for channels in (1, 3, 4, 7, 8, 9, 17):
        check((5, channels, 6), dtype, LAYOUTS[layout], relu, rtol)
        check((70, channels, 1), dtype, LAYOUTS[layout], relu, rtol)


@pytest.mark.parametrize("serial", [True, False])
@pytest.mark.parametrize("channels", [1, 8, 20, CHUNK // 2, CHUNK + 1])
def test_chunk_edges(run_serially, serial, channels):
    run_serially(serial)
    group = max(1, CHUNK // channels)
    for pixels in {2, group - 1, group, group + 1, 3 * group + 2} - {0, 1}:
        check((pixels, channels, 1), "float32", np.ascontiguousarray, True, 3e-5)


def test_images_stay_channels_last():
    g, x, weight, bias = operands((4, 5, 9), "float32")
    out, mean, var = _norm.batch_norm(channels_last(x), weight, bias, 1e-5, True)
    x_grad, *_ = _norm.batch_norm_grad(channels_last(g), channels_last(x), weight, bias, mean, var, 1e-5, True)
    for image in (out, x_grad):
        assert image.transpose(0, 2, 1).flags.c_contiguous


def test_the_variance_of_values_far_from_zero():
    x = (RNG.standard_normal((64, 3, 100)) + 3000).astype("float32")
    _, mean, var = _norm.batch_norm(x, np.ones(3, "float32"), np.zeros(3, "float32"), 1e-5, False)
    np.testing.assert_allclose(mean, x.mean((0, 2), dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(var, x.var((0, 2), dtype=np.float64), rtol=1e-5)


def test_nan_stays_in_its_channel():
    x = RNG.standard_normal((3, 2, 4)).astype("float32")
    x[1, 0, 2] = np.nan
    out, mean, var = _norm.batch_norm(x, np.ones(2, "float32"), np.zeros(2, "float32"), 1e-5, True)
    assert np.isnan(out[:, 0]).all()
    assert np.isnan([mean[0], var[0]]).all()
    assert np.isfinite(out[:, 1]).all()


def test_relu_masks_the_same_elements_forward_and_backward():
    """Bitwise, for values that rounding puts on either side of zero."""
    x = tensor(np.tile(np.float32([1, 2, 3]), 1000).reshape(-1, 1), requires_grad=True)
    weight, bias = ones(1, requires_grad=True), zeros(1, requires_grad=True)
    out, _, _ = batch_norm(x, weight, bias, activation="relu")
    (bias_grad,) = grad(out.sum(), bias)
    assert bias_grad.item() == (out.detach().numpy() > 0).sum()
