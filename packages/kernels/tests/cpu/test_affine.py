"""Images sampled along affine maps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from stackgrad.kernels import affine_images


def shifted_by(down, right):
    return np.array([[1.0, 0.0, down], [0.0, 1.0, right]])


STAY = shifted_by(0, 0)


def some_images(*shape):
    return np.random.default_rng(sum(shape)).integers(0, 256, shape).astype(np.uint8)


@given(st.tuples(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)), st.integers(0, 99))
def test_within_rounding_of_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    maps = STAY + rng.uniform(-1, 1, (len(images), 2, 3))
    found = affine_images(images, maps)
    for image, map_, mine in zip(images, maps, found, strict=True):
        exact = ndimage.affine_transform(
            image.astype(float), map_[:, :2], map_[:, 2], order=1, mode="grid-constant", prefilter=False
        )
        # Positions are truncated to 256ths of a pixel; along each direction that changes at most 255 / 256.
        assert np.abs(mine - exact).max() < 0.5 + 2.1


def test_whole_pixels_are_exact():
    images = some_images(3, 5, 7)
    maps = np.stack((STAY, shifted_by(2, -1), [[0, 1, 0], [1, 0, 0]]))
    stayed, shifted, transposed = affine_images(images, maps)
    np.testing.assert_array_equal(stayed, images[0])
    expected = np.zeros((5, 7), np.uint8)
    expected[:3, 1:] = images[1, 2:, :-1]
    np.testing.assert_array_equal(shifted, expected)
    expected = np.zeros((5, 7), np.uint8)
    expected[:5, :5] = images[2, :5, :5].T
    np.testing.assert_array_equal(transposed, expected)


def test_half_a_pixel_is_the_mean_of_two():
    image = np.array([[[10, 20, 31]]], np.uint8)
    found = affine_images(image, shifted_by(0, 0.5)[None])
    assert found.tolist() == [[[15, 26, 16]]]  # halves round up; outside the image there are zeros


def test_the_edge_is_interpolated_between_the_last_pixel_and_zero():
    image = np.full((1, 2, 2), 200, np.uint8)
    found = affine_images(image, shifted_by(-0.25, 0)[None])
    assert found.tolist() == [[[150, 150], [200, 200]]]


@pytest.mark.usefixtures("poisoned")
def test_far_outside_there_are_zeros():
    far = shifted_by(2.0**20 - 2, 2 - 2.0**20)
    assert not affine_images(np.full((20, 30, 30), 255, np.uint8), np.stack([far] * 20)).any()


def test_any_strides_and_dtypes():
    images = some_images(4, 6, 8)
    maps = np.random.default_rng(1).uniform(-1, 1, (4, 2, 3))
    expected = affine_images(images, maps.astype(np.float32))
    transposed_in_memory = np.ascontiguousarray(images.transpose(2, 0, 1)).transpose(1, 2, 0)
    np.testing.assert_array_equal(
        affine_images(transposed_in_memory, np.asfortranarray(maps.astype(np.float32))), expected
    )
    assert np.array_equal(affine_images(images, np.stack([STAY.astype(int)] * 4)), images)


@pytest.mark.parametrize("shape", [(0, 28, 28), (3, 0, 5)])
def test_no_pixels(shape):
    assert affine_images(np.zeros(shape, np.uint8), np.zeros((shape[0], 2, 3))).shape == shape


def test_the_same_in_parallel(run_serially):
    images, maps = some_images(100, 28, 28), STAY + np.random.default_rng(0).uniform(-0.2, 0.2, (100, 2, 3))
    run_serially(True)
    expected = affine_images(images, maps)
    run_serially(False)
    np.testing.assert_array_equal(affine_images(images, maps), expected)


@pytest.mark.parametrize(
    ("images", "maps", "message"),
    [
        (np.zeros((2, 5, 5)), np.zeros((2, 2, 3)), r"images of float64 \(2, 5, 5\): expected uint8 \(n, h, w\)"),
        (np.zeros((5, 5), np.uint8), np.zeros((5, 2, 3)), r"images of uint8 \(5, 5\): expected uint8"),
        (np.zeros((2, 5, 5), np.uint8), np.zeros((3, 2, 3)), r"maps of shape \(3, 2, 3\) for 2 images: expected \(2,"),
        (np.zeros((1, 5, 5), np.uint8), np.full((1, 2, 3), np.nan), "nan in a map: expected absolute values below 2"),
        (np.zeros((1, 5, 5), np.uint8), np.full((1, 2, 3), -(2.0**20)), "-1048576.0 in a map: expected"),
    ],
)
def test_errors_name_the_wrong_argument(images, maps, message):
    with pytest.raises(ValueError, match="affine_images: " + message):
        affine_images(images, maps)
