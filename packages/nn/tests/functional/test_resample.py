"""Resizing of images and sequences."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn

F = nn.functional


@pytest.mark.parametrize("backend", ["numpy", "cpu"])
def test_values_of_pytorch(backend: str) -> None:
    x = sg.arange(12, dtype="float64", backend=backend).reshape(1, 1, 3, 4)
    bilinear = F.interpolate(x, (2, 6), mode="bilinear")
    expected = [[1.0, 1.5, 13 / 6, 17 / 6, 3.5, 4.0], [7.0, 7.5, 49 / 6, 53 / 6, 9.5, 10.0]]
    np.testing.assert_allclose(bilinear.numpy(), [[expected]], rtol=1e-12)
    corners = F.interpolate(x, (2, 6), mode="bilinear", align_corners=True)
    np.testing.assert_allclose(corners.numpy()[0, 0], [np.arange(6) * 0.6, 8 + np.arange(6) * 0.6], rtol=1e-12)
    assert F.interpolate(x, (2, 6)).tolist() == [[[[0, 0, 1, 2, 2, 3], [4, 4, 5, 6, 6, 7]]]]
    linear = F.interpolate(x[:, 0], 5, mode="linear")
    np.testing.assert_allclose(linear.numpy()[0, 1], [4.0, 4.7, 5.5, 6.3, 7.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((1, 2, 3, 4), {"scale_factor": 2}),
        ((1, 2, 3, 4), {"size": (5, 2)}),
        ((1, 2, 3, 4), {"scale_factor": (1.5, 0.5), "mode": "bilinear"}),
        ((1, 2, 3, 4), {"size": 5, "mode": "bilinear", "align_corners": True}),
        ((2, 1, 4), {"scale_factor": 3.0}),
        ((2, 1, 4), {"size": 7, "mode": "linear"}),
    ],
)
def test_gradients(shape: tuple[int, ...], options: Any) -> None:
    x = sg.randn(*shape, generator=sg.Generator(0), dtype="float64", requires_grad=True)
    sg.grad_check(lambda x: F.interpolate(x, **options), x)


def test_integer_factors_repeat_elements() -> None:
    x = sg.randn(2, 3, 2, 2, generator=sg.Generator(0))
    expected = x.numpy().repeat(3, 2).repeat(2, 3)
    np.testing.assert_array_equal(F.interpolate(x, scale_factor=(3, 2)).numpy(), expected)
    np.testing.assert_array_equal(F.interpolate(x, size=(6, 4)).numpy(), expected)
    assert F.interpolate(x, scale_factor=1.3) is x


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: F.interpolate(x), "expected either size or scale_factor; got None and None"),
        (lambda x: F.interpolate(x, 2, 2.0), "expected either size or scale_factor; got 2 and 2.0"),
        (lambda x: F.interpolate(x, (2, 2, 2)), "size must be an int or 2 of them, above 0; got (2, 2, 2)"),
        (
            lambda x: F.interpolate(x, scale_factor=-1.0),
            "scale_factor must be a float or 2 of them, above 0; got -1.0",
        ),
        (lambda x: F.interpolate(x, scale_factor=0.2), "scale_factor 0.2 of sizes (3, 4) leaves no elements"),
        (lambda x: F.interpolate(x, 2, mode="linear"), "input of shape (1, 1, 3, 4) with mode 'linear': expected 3"),
        (lambda x: F.interpolate(x, 2, align_corners=True), "align_corners with mode 'nearest'"),
        (lambda x: F.interpolate(x[:, :, :0], 2), "the input has no elements"),
    ],
)
def test_errors(call: Callable[[sg.Tensor], object], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call(sg.ones(1, 1, 3, 4))
