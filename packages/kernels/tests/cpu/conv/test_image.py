"""Images with padding, copied once for all their readers, and gradients masked in the same pass."""

import numpy as np
import pytest

from stackgrad.kernels.cpu import CpuBackend, _channels_last
from stackgrad.kernels.cpu.conv._image import Image, inside, masked_and_summed, padding, reading
from stackgrad.tensor import Backend, NumpyBackend, Window
from stackgrad.tensor._window import NO_PADDING

pytestmark = pytest.mark.usefixtures("poisoned")

RNG = np.random.default_rng(0)
NUMPY, CPU = NumpyBackend(), CpuBackend()
PADDING = ((1, 2), (0, 3))


def integers(*shape, dtype="float32"):
    return RNG.integers(-3, 4, shape).astype(dtype)


def last(x):
    return _channels_last.channels_first(_channels_last.channels_last(x))


LAYOUTS = {
    "channels first": np.copy,
    "channels last": last,
    "backwards": lambda x: np.ascontiguousarray(x[:, ::-1, ::-1])[:, ::-1, ::-1],
    "part": lambda x: np.pad(last(x), ((1, 0), (0, 0), (2, 0), (0, 1)))[1:, :, 2:, :-1],
    "repeated": lambda x: np.broadcast_to(x[:1], x.shape),
}


@pytest.mark.parametrize(("dtype", "value"), [("float32", 0.0), ("float64", 0.0), ("float32", -np.inf)])
@pytest.mark.parametrize("padding_of", [NO_PADDING, PADDING])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape", [(2, 3, 4, 5), (1, 1, 4, 5), (3, 9, 1, 1), (130, 2, 3, 1), (0, 2, 3, 4), (2, 0, 3, 4)]
)
def test_a_value_around_an_image(shape, layout, padding_of, dtype, value):
    x = LAYOUTS[layout](integers(*shape, dtype=dtype))
    image = padding(x, padding_of, 7, value)(x)
    padded = np.pad(x, ((0, 0), (0, 0), *padding_of), constant_values=value).transpose(0, 2, 3, 1)
    assert image.memory.size == padded.size + 7
    assert np.array_equal(image.memory[: padded.size], padded.ravel())
    assert np.array_equal(inside(image), x)
    assert (image.shape, image.dtype) == (x.shape, dtype)
    assert image.strides == inside(image).strides or not x.size


def test_memory_is_read_without_a_copy_if_possible():
    lent = last(integers(2, 16, 16, 16))
    own = np.copy(lent, order="K")
    for x, beyond, same in ((lent, 5, True), (lent, 300, False), (own, 0, True), (own, 5, False), (lent[:1], 5, True)):
        memory = reading(x, NO_PADDING, beyond)(x)
        assert np.shares_memory(memory, x) == same
        flat = memory.ravel() if memory.ndim == 1 else memory.transpose(0, 2, 3, 1).ravel()
        assert np.array_equal(flat[: x.size], x.transpose(0, 2, 3, 1).ravel())
    assert not np.shares_memory(reading(lent, PADDING, 0)(lent), lent)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("channels", "out", "window"),
    [
        (4, 8, Window((3, 3), (1, 1), ((1, 1), (1, 1)))),
        (1, 3, Window((2, 5), (1, 2), ((0, 1), (3, 0)))),
        (3, 2, Window((3, 2), (2, 1), ((2, 0), (0, 4)), (1, 3))),
        (18, 20, Window((3, 3), (2, 1), ((1, 0), (2, 2)))),
        (4, 6, Window((3, 3))),
        (20, 10, Window((1, 1))),
    ],
)
def test_an_image_is_padded_once(channels, out, window, dtype):
    x, w, b = (
        integers(12, channels, 31, 30, dtype=dtype),
        integers(out, channels, *window.kernel, dtype=dtype),
        integers(out),
    )
    b = b.astype(dtype)
    for given in (x, last(x)):
        y, image = CPU.conv2d(given, w, b, window, 1, False)
        assert np.array_equal(y, NUMPY.conv2d(x, w, b, window, 1, False)[0])
        if window.padding == NO_PADDING:
            assert image is given  # nothing but the image is kept for backward
            continue
        assert isinstance(image, Image)
        assert reading(image, window.padding, 1)(image) is image.memory
        g = integers(*y.shape, dtype=dtype)
        exact = NUMPY.conv2d_weight_grad(x, g, window, 1)
        assert np.array_equal(CPU.conv2d_weight_grad(image, g, window, 1), exact)
        again, same = CPU.conv2d(image, w, b, window, 1, False)
        assert np.array_equal(again, y)
        assert same is image


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
def test_gradients_masked_by_relu(n, channels, out, groups, window, dtype):
    """conv2d_grads gives the gradients, whether it pads the masked gradient or not."""
    x = integers(n, channels, 30, 28, dtype=dtype)
    w = integers(out, channels // groups, *window.kernel, dtype=dtype)
    y, image = CPU.conv2d(x, w, None, window, groups, True)
    exact = np.where(y > 0, g := integers(*y.shape, dtype=dtype), 0)
    for given, needs in ((image, (True, True, True)), (x, (True, True, True)), (image, (False, True, False))):
        found = CPU.conv2d_grads(g, given, w, y, window, groups, needs)
        expected = Backend.conv2d_grads(NUMPY, exact, x, w, None, window, groups, needs)
        for ours, its in zip(found, expected, strict=True):
            assert (ours is None) == (its is None)
            assert ours is None or (ours.dtype == dtype and np.array_equal(ours, its))


def test_a_masked_gradient_is_padded_for_its_reader():
    window = Window((3, 3), (1, 1), ((1, 1), (1, 1)))
    g = integers(12, 8, 28, 28)
    masked, _ = masked_and_summed(g, integers(*g.shape), window.padding)
    assert np.shares_memory(reading(masked, window.padding, 14)(masked), masked.memory)


def test_non_finite_values_are_masked():
    g = np.full((2, 3, 4, 5), np.nan, np.float32)
    g[:, 1] = np.inf
    masked, total = masked_and_summed(g, np.zeros_like(g), NO_PADDING)
    assert not masked.inside().any()
    assert not total.any()


def test_no_images():
    for shape in ((0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5)):
        masked, total = masked_and_summed(integers(*shape), integers(*shape), NO_PADDING)
        assert masked.inside().shape == shape
        assert total.sum(0).tolist() == [0] * shape[1]
