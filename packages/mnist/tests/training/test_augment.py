import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.kernels import affine_images
from stackgrad.mnist import Dataset
from stackgrad.mnist.training.augment import ROTATION, SHEAR, SHIFT, STRETCH, affine_images_plain, affine_maps, augment
from stackgrad.tensor import Generator

MIDDLE = 0.5  # a draw that changes nothing


def draws(**values: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    names = ("angle", "height", "width", "shear", "down", "right")
    return np.array([[values.get(name, MIDDLE) for name in names]])


@given(st.tuples(st.integers(0, 40), st.integers(1, 30), st.integers(1, 30)), st.integers(0, 999))
def test_the_kernel_equals_the_plain_version_bitwise(shape: tuple[int, int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, shape).astype(np.uint8)
    maps = rng.normal(size=(shape[0], 2, 3))
    np.testing.assert_array_equal(affine_images(images, maps), affine_images_plain(images, maps))


def test_same_images_on_any_backend_from_the_same_state(mnist: Dataset) -> None:
    images = mnist.train.images[:70]
    before = images.copy()
    generator = Generator(5)
    first = augment(images, generator, "cpu")
    assert (first.dtype, first.shape, generator.call) == (np.uint8, images.shape, 1)
    np.testing.assert_array_equal(images, before)
    second = augment(images, generator, "numpy")
    assert (first != second).any()
    generator.call = 0
    np.testing.assert_array_equal(augment(images, generator, "numpy"), first)
    np.testing.assert_array_equal(augment(images, generator, "cpu"), second)


def test_each_image_is_changed_differently(mnist: Dataset) -> None:
    found = augment(np.stack([mnist.train.images[0]] * 50), Generator(0))
    assert len({image.tobytes() for image in found}) == 50


def test_middle_draws_change_nothing(mnist: Dataset) -> None:
    maps = affine_maps(draws(), (28, 28))
    np.testing.assert_allclose(maps[0], [[1, 0, 0], [0, 1, 0]], atol=1e-12)
    np.testing.assert_array_equal(affine_images(mnist.train.images[:1], maps), mnist.train.images[:1])


@pytest.mark.parametrize("draw", [0.0, 1.0])
def test_the_effect_of_each_draw(draw: float) -> None:
    """A map takes positions in the new image to positions in the old one, relative to the centre here."""
    sign = 2 * draw - 1
    for name, linear, shift in (
        ("angle", np.array([[np.cos(r := np.deg2rad(sign * ROTATION)), -np.sin(r)], [np.sin(r), np.cos(r)]]), (0, 0)),
        ("height", [[1 + sign * STRETCH, 0], [0, 1]], (0, 0)),
        ("width", [[1, 0], [0, 1 + sign * STRETCH]], (0, 0)),
        ("shear", [[1, 0], [sign * SHEAR, 1]], (0, 0)),
        ("down", np.eye(2), (sign * SHIFT, 0)),
        ("right", np.eye(2), (0, sign * SHIFT)),
    ):
        (map_,) = affine_maps(draws(**{name: draw}), (28, 20))
        np.testing.assert_allclose(map_[:, :2], linear, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(map_ @ [13.5, 9.5, 1], np.add((13.5, 9.5), shift), atol=1e-12, err_msg=name)


def test_the_digit_stays_in_the_image(mnist: Dataset) -> None:
    images = mnist.train.images[:2000]
    found = augment(images, Generator(1))
    ratio = found.sum(dtype=np.float64, axis=(1, 2)) / images.sum(dtype=np.float64, axis=(1, 2))
    assert ratio.min() > 0.75
    assert ratio.max() < 1.3
    assert abs(ratio.mean() - 1) < 0.02


def test_no_images() -> None:
    assert augment(np.zeros((0, 28, 28), np.uint8), Generator(0)).shape == (0, 28, 28)
