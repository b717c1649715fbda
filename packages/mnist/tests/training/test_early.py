import numpy as np
import pytest

from stackgrad.mnist import Dataset, IdxError, Split
from stackgrad.mnist.training.early import held_out, hold_out
from stackgrad.tensor import Generator


@pytest.mark.parametrize(("images", "expected"), [(2, 1), (19, 1), (20, 2), (60_000, 6_000)])
def test_a_tenth_is_held_out(images: int, expected: int) -> None:
    assert held_out(images) == expected


def test_the_parts_make_the_whole_and_depend_on_the_seed(tiny: Dataset) -> None:
    def pairs(split: Split) -> list[tuple[bytes, int]]:
        return [(image.tobytes(), int(label)) for image, label in zip(split.images, split.labels, strict=True)]

    rest, held = hold_out(tiny.train, Generator(3))
    assert sorted(pairs(rest) + pairs(held)) == sorted(pairs(tiny.train))
    again, other = hold_out(tiny.train, Generator(3))[1], hold_out(tiny.train, Generator(5))[1]
    assert np.array_equal(held.images, again.images)
    assert not np.array_equal(held.images, other.images)


def test_one_image_is_too_few(tiny: Dataset) -> None:
    with pytest.raises(IdxError, match="--patience holds out training images, but there is only one"):
        hold_out(Split(tiny.train.images[:1], tiny.train.labels[:1]), Generator(0))
