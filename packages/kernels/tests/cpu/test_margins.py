"""Images with zeros around them, brought there once, and what is masked on the way there."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import CpuBackend, _channels_last, _conv, _conv_weight_grad, _margins, _memory
from stackgrad.tensor import Backend, NumpyBackend, Window

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
NUMPY, CPU = NumpyBackend(), CpuBackend()


def whole(*shape, dtype="float32"):
    return RNG.integers(-3, 4, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("channels", "out", "window"),
    [
        (4, 8, Window((3, 3), (1, 1), ((1, 1), (1, 1)))),
        (1, 3, Window((2, 5), (1, 2), ((0, 1), (3, 0)))),
        (3, 2, Window((3, 2), (2, 1), ((2, 0), (0, 4)), (1, 3))),
        (18, 20, Window((3, 3), (2, 1), ((1, 0), (2, 2)))),
    ],
)
def test_an_image_that_was_brought_for_its_window(channels, out, window, dtype):
    x, w, b = whole(12, channels, 31, 30, dtype=dtype), whole(out, channels, *window.kernel, dtype=dtype), whole(out)
    b = b.astype(dtype)
    for given in (x, _channels_last.channels_first(_channels_last.channels_last(x))):
        image = _margins.for_window(given, window)
        assert image is not given
        assert np.array_equal(image, x)
        assert np.shares_memory(_margins.padded(image, window, 14)[0], image)
        y = _conv.cross_correlate(image, w, b, window, 1)
        assert np.array_equal(y, NUMPY.conv2d(x, w, b, window, 1, False)[0])
        g = whole(*y.shape, dtype=dtype)
        exact = NUMPY.conv2d_weight_grad(x, g, window, 1)
        assert np.array_equal(_conv_weight_grad.conv2d_weight_grad(image, g, window, 1), exact)
        # For another window, or as a part, it is an image like others.
        other = Window((2, 2), (1, 1), ((1, 1), (0, 0)))
        w2 = whole(3, channels, 2, 2, dtype=dtype)
        assert np.array_equal(
            _conv.cross_correlate(image, w2, None, other, 1), NUMPY.conv2d(x, w2, None, other, 1, False)[0]
        )
        part = image[1:, :, 2:, :-3]
        assert np.array_equal(
            _conv.cross_correlate(part, w, b, window, 1), NUMPY.conv2d(part.copy(), w, b, window, 1, False)[0]
        )


def test_memory_lent_again_is_an_image_like_others():
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)))
    for _ in range(5):
        image = _margins.for_window(whole(12, 4, 30, 30), window)
        assert image.shape == (12, 4, 30, 30)
        del image  # its memory is lent again
        x = _channels_last.channels_first(_memory.empty((12, 30, 30, 4), np.float32))
        x[...] = whole(12, 4, 30, 30)
        w = whole(8, 4, 3, 3)
        assert np.array_equal(
            _conv.cross_correlate(x, w, None, window, 1), NUMPY.conv2d(x, w, None, window, 1, False)[0]
        )


def test_small_images_and_those_without_padding_stay_as_they_are():
    small, large = whole(2, 3, 5, 5), whole(12, 4, 30, 30)
    assert _margins.for_window(small, Window((3, 3), (1, 1), ((1, 1), (1, 1)))) is small
    assert _margins.for_window(large, Window((3, 3))) is large


WINDOWS = [
    Window((3, 3), (1, 1), ((1, 1), (1, 1))),
    Window((3, 5), (1, 1), ((0, 1), (3, 2))),
    Window((2, 2)),
    Window((1, 1)),
    Window((3, 3), (2, 1), ((1, 1), (1, 1))),
    Window((2, 3), (1, 1), ((0, 0), (2, 2)), (1, 2)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize(("channels", "out", "groups"), [(4, 8, 1), (1, 3, 1), (20, 18, 1), (3, 20, 1), (4, 6, 2)])
@pytest.mark.parametrize("n", [1, 12])
def test_what_is_masked_on_its_way_back(n, channels, out, groups, window, dtype):
    """The gradients from what conv2d_grads gives, whether it has zeros around it or not."""
    x = whole(n, channels, 30, 28, dtype=dtype)
    w = whole(out, channels // groups, *window.kernel, dtype=dtype)
    y, image = CPU.conv2d(x, w, None, window, groups, True)
    exact = np.where(y > 0, g := whole(*y.shape, dtype=dtype), 0)
    for given, needs in ((image, (True, True, True)), (x, (True, True, True)), (image, (False, True, False))):
        found = CPU.conv2d_grads(g, given, w, y, window, groups, needs)
        expected = Backend.conv2d_grads(NUMPY, exact, x, w, None, window, groups, needs)
        for ours, its in zip(found, expected, strict=True):
            assert (ours is None) == (its is None)
            assert ours is None or (ours.dtype == dtype and np.array_equal(ours, its))


def test_the_gradient_of_a_course_s_layer_is_brought_for_the_next():
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)))
    g = whole(12, 8, 28, 28)
    masked, _ = _margins.masked_and_summed(g, whole(*g.shape), window)
    assert np.shares_memory(_margins.padded(masked, window, 14)[0], masked)


def test_numbers_that_are_none_are_masked():
    g = np.full((2, 3, 4, 5), np.nan, np.float32)
    g[:, 1] = np.inf
    masked, total = _margins.masked_and_summed(g, np.zeros_like(g), None)
    assert not masked.any()
    assert not total.any()


def test_no_images():
    for shape in ((0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5)):
        masked, total = _margins.masked_and_summed(whole(*shape), whole(*shape), None)
        assert masked.shape == shape
        assert total.tolist() == [0] * shape[1]
