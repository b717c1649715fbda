"""Matrix products beyond the table of cases: each form of tile at its edges, sums in pieces, many batch dimensions."""

import numpy as np
import pytest

from stackgrad.kernels.cuda import _matmul, _tile
from stackgrad.kernels.cuda._array import from_numpy, to_numpy
from stackgrad.tensor._shape import strides_in_order

RNG = np.random.default_rng(0)
FORMS = {"large": _tile.LARGE, "medium": _tile.MEDIUM, "small": _tile.SMALL}


def integers(*shape):
    """Small integers, whose sums are exact."""
    return RNG.integers(-3, 4, shape).astype(np.float32)


def edges(form):
    """Extents (n, k, m), one of them at the edge of a tile or of DEPTH."""
    for by in (-1, 0, 1):
        yield form.rows + by, 1, 1
        yield 1, form.depth + by, 1
        yield 1, 2 * form.depth + by, 2
        yield 1, 1, form.columns + by


@pytest.mark.parametrize(
    ("form", "extents"),
    [pytest.param(form, extents, id=f"{name}-{extents}") for name, form in FORMS.items() for extents in edges(form)],
)
def test_edges(form, extents, monkeypatch):
    monkeypatch.setattr(_matmul, "form_for", lambda *_: form)
    n, k, m = extents
    a, b = integers(n, k), integers(k, m)
    for left in (from_numpy(a), from_numpy(a.T.copy()).view((n, k), (1, n))):
        assert np.array_equal(to_numpy(_matmul.matmul(left, from_numpy(b))), a @ b)


@pytest.mark.parametrize("by", [-1, 0, 1])
@pytest.mark.parametrize("biased", [False, True])
def test_sums_in_pieces(by, biased):
    k = 3 * _tile.SHORTEST + by
    x, weight, bias = integers(2, k), integers(3, k), integers(3)
    assert _tile.cut(_tile.SMALL, 1, k)[0] == (3 if by >= 0 else 2)
    expected = x @ weight.T + (bias if biased else 0)
    operands = from_numpy(x), from_numpy(weight), from_numpy(bias) if biased else None
    assert np.array_equal(to_numpy(_matmul.linear(*operands, False)), expected)
    assert np.array_equal(to_numpy(_matmul.linear(*operands, True)), np.maximum(expected, 0))


@pytest.mark.parametrize("k", [1, 2 * _tile.SHORTEST])
def test_more_batch_dimensions_than_a_kernel_takes(k):
    a = integers(2, 1, 2, 1, 2, 1, k)
    shape = (2, 2, 2, 2, 2, 1, k)
    spread = tuple(0 if n == 1 else step for n, step in zip(a.shape[:5], strides_in_order(a.shape), strict=False))
    left = from_numpy(a).view(shape, (*spread, k, 1))
    right = integers(k, 1)
    found = _matmul.matmul(left, from_numpy(right).view((2,) * 5 + (k, 1), (0,) * 5 + (1, 1)))
    assert np.array_equal(to_numpy(found), np.broadcast_to(a @ right, found.shape))


def test_empty_sums():
    assert to_numpy(_matmul.matmul(from_numpy(integers(2, 0)), from_numpy(integers(0, 3)))).tolist() == [[0.0] * 3] * 2
    assert _matmul.matmul(from_numpy(integers(0, 2)), from_numpy(integers(2, 3))).shape == (0, 3)


def test_the_form_depends_on_the_shapes():
    large, medium = _tile.LARGE, _tile.MEDIUM
    many = _tile.ENOUGH
    float32, float64 = np.dtype("float32"), np.dtype("float64")
    assert _tile.form_for(float32, large.rows, many * large.columns, 1, 1) is large
    assert _tile.form_for(float32, medium.rows, many * medium.columns, 1, 1) is medium
    assert _tile.form_for(float32, medium.rows, medium.columns, 1, many) is medium
    assert _tile.form_for(float32, medium.rows, medium.columns, many * _tile.SHORTEST, 1) is medium
    assert _tile.form_for(float32, 1, many * large.columns, 1, 1) is _tile.SMALL
    assert _tile.form_for(float64, large.rows, many * large.columns, 1, 1) is _tile.SMALL
