"""Convolution beyond the table of cases: each form of tile at its edges, phases, sums in pieces, the course's names."""

import numpy as np
import pytest

from stackgrad.kernels import course
from stackgrad.kernels.cuda import _tile
from stackgrad.kernels.cuda._array import from_numpy as on_device
from stackgrad.kernels.cuda._array import to_numpy
from stackgrad.kernels.cuda.conv import _walk
from stackgrad.kernels.cuda.conv._forward import conv2d
from stackgrad.kernels.cuda.conv._input_grad import conv2d_input_grad
from stackgrad.kernels.cuda.conv._weight_grad import conv2d_weight_grad
from stackgrad.tensor import Window, from_numpy, ones
from stackgrad.tensor.testing import loops

RNG = np.random.default_rng(0)
FORMS = {"large": _tile.LARGE, "medium": _tile.MEDIUM, "small": _tile.SMALL}


def integers(*shape):
    """Small integers, whose sums are exact."""
    return RNG.integers(-3, 4, shape).astype(np.float32)


def check(x, weight, window, groups=1):
    """The convolution and its gradients equal those of plain loops."""
    out = loops.conv2d(x, weight, None, window, groups)
    g = integers(*out.shape)
    x_grad, weight_grad, _ = loops.conv2d_grads(g, x, weight, window, groups)
    x, weight, g, size = on_device(x), on_device(weight), on_device(g), x.shape[2:]
    assert np.array_equal(to_numpy(conv2d(x, weight, None, window, groups, False)[0]), out)
    assert np.array_equal(to_numpy(conv2d_input_grad(g, weight, size, window, groups)), x_grad)
    assert np.array_equal(to_numpy(conv2d_weight_grad(x, g, window, groups)), weight_grad)


def edges(form):
    """Channels out and in and columns of an image, one of them at the edge of a tile."""
    for by in (-1, 0, 1):
        yield form.rows + by, 1, 1
        yield 1, form.depth + by, 2
        yield 1, 1, form.columns + by


@pytest.mark.parametrize(
    ("form", "extents"),
    [pytest.param(form, extents, id=f"{name}-{extents}") for name, form in FORMS.items() for extents in edges(form)],
)
def test_edges(form, extents, monkeypatch):
    monkeypatch.setattr(_walk, "form_for", lambda *_: form)
    o, c, columns = extents
    check(integers(1, c, 1, columns), integers(o, c, 1, 2), Window((1, 2), padding=((0, 0), (1, 0))))


@pytest.mark.parametrize("stride", [(2, 1), (3, 2)])
@pytest.mark.parametrize("dilation", [1, 2])
def test_the_input_gradient_in_phases(stride, dilation):
    """With one tap in a row some phases meet no window; with dilation 2 and stride 2 every second one meets none."""
    window = Window((1, 2), stride, ((1, 0), (0, 1)), (1, dilation))
    check(integers(1, 1, 4, 5), integers(2, 1, 1, 2), window)


def test_sums_in_pieces():
    pixels = 2 * _tile.SHORTEST + 1
    check(integers(1, 1, 1, pixels), integers(1, 1, 1, 1), Window((1, 1)))
    x, weight, bias = integers(1, pixels, 1, 1), integers(1, pixels, 1, 1), integers(1)
    found, _ = conv2d(on_device(x), on_device(weight), on_device(bias), Window((1, 1)), 1, True)
    assert to_numpy(found).item() == max((x * weight).sum() + bias.item(), 0)


def test_empty_sums():
    window = Window((1, 1))
    x, weight, bias = (on_device(integers(*shape)) for shape in ((1, 0, 1, 2), (3, 0, 1, 1), (3,)))
    expected = np.broadcast_to(to_numpy(bias)[:, None, None], (1, 3, 1, 2))
    assert np.array_equal(to_numpy(conv2d(x, weight, bias, window, 1, False)[0]), expected)
    grad = conv2d_weight_grad(on_device(integers(0, 2, 1, 1)), on_device(integers(0, 3, 1, 1)), window, 1)
    assert to_numpy(grad).tolist() == np.zeros((3, 2, 1, 1)).tolist()


# --- under the names of the course


@pytest.mark.parametrize("reverse", [False, True])
def test_the_kernels_of_the_course(reverse):
    x, weight = integers(1, 2, 2, 3), integers(2, 2, 2, 2)
    results = []
    for backend in ("numpy", "cuda"):
        out, rows = ones(1, 2, 2, 3, backend=backend), ones(1, 2, 2, 3, backend=backend)
        left, right = from_numpy(x, backend=backend), from_numpy(weight, backend=backend)
        course.tensor_conv2d(out, left, right, reverse)
        course.tensor_conv1d(rows[:, :, 0], left[:, :, 0], right[:, :, 0], reverse)
        results.append((out.tolist(), rows.tolist(), course.conv1d(left[:, :, 0], right[:, :, 0]).tolist()))
    assert results[0] == results[1]


def test_operands_of_two_backends():
    one = ones(1, 1, 2)
    with pytest.raises(ValueError, match=r"'cuda'.*'cpu'|'cpu'.*'cuda'"):
        course.tensor_conv1d(ones(1, 1, 2), ones(1, 1, 2, backend="cuda"), one, False)
