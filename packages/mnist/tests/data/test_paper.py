"""Frames, shading and other surroundings of a digit: MNIST's digits are recovered from all of them."""

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw, ImageFilter

from stackgrad.mnist.data.datasets import load
from stackgrad.mnist.data.images import ImageError, to_mnist

UInt8Array = npt.NDArray[np.uint8]
HEIGHT, WIDTH = 240, 320
DIGITS = load().test.images[[0, 1, 2, 3, 4, 7, 8, 11, 18, 61]]  # one of each: 7 2 1 0 4 9 5 6 3 8


def page(digit: UInt8Array, paper: int = 235, ink: int = 25, side: int = 180) -> Image.Image:
    """A digit on paper."""
    coverage = Image.new("L", (WIDTH, HEIGHT))
    enlarged = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
    coverage.paste(enlarged, ((WIDTH - side) // 2, (HEIGHT - side) // 2))
    return Image.composite(Image.new("L", coverage.size, ink), Image.new("L", coverage.size, paper), coverage)


def framed(image: Image.Image, top: int, right: int, bottom: int, left: int, colour: int) -> Image.Image:
    """A picture with strips along its sides."""
    draw = ImageDraw.Draw(image)
    for box, thick in (
        ((0, 0, WIDTH, top - 1), top),
        ((WIDTH - right, 0, WIDTH, HEIGHT), right),
        ((0, HEIGHT - bottom, WIDTH, HEIGHT), bottom),
        ((0, 0, left - 1, HEIGHT), left),
    ):
        if thick:
            draw.rectangle(box, fill=colour)
    return image


def similarity(a: UInt8Array, b: UInt8Array) -> float:
    """The highest correlation of two images if one of them may be moved by a pixel."""
    moved = [np.roll(a, shift, (0, 1)) for shift in itertools.product((-1, 0, 1), repeat=2)]
    return max(float(np.corrcoef(image.ravel(), b.ravel())[0, 1]) for image in moved)


def assert_recovered(make: Callable[[UInt8Array], Image.Image | UInt8Array], least: float = 0.85) -> None:
    """Check that each digit is recovered, dark on light and light on dark."""
    for digit in DIGITS:
        picture = np.asarray(make(digit))
        for each in (picture, 255 - picture):
            assert similarity(to_mnist(each), digit) > least


def test_the_digits() -> None:
    assert len({tuple(image.ravel()) for image in DIGITS}) == 10
    assert_recovered(page)


# Frames


@pytest.mark.parametrize("thick", [1, 2, 9, 25])
@pytest.mark.parametrize("colour", [0, 110])
def test_frames(thick: int, colour: int) -> None:
    assert_recovered(lambda digit: framed(page(digit), thick, thick, thick, thick, colour))


@pytest.mark.parametrize(("paper", "ink", "frame"), [(170, 128, 198), (104, 67, 149), (230, 185, 0), (40, 76, 66)])
def test_faint_ink_in_frames(paper: int, ink: int, frame: int) -> None:
    assert_recovered(lambda digit: framed(page(digit, paper, ink), 9, 9, 9, 9, frame))


@pytest.mark.parametrize("sides", [s for n in (1, 2, 3) for s in itertools.combinations(range(4), n)])
def test_strips_along_some_sides(sides: tuple[int, ...]) -> None:
    thick = [8 + 5 * side if side in sides else 0 for side in range(4)]
    assert_recovered(lambda digit: framed(page(digit, side=150), *thick, 30))


def test_a_soft_frame_in_a_photo() -> None:
    noise = np.random.default_rng(0)

    def make(digit: UInt8Array) -> UInt8Array:
        blurred = framed(page(digit), 14, 10, 12, 16, 20).filter(ImageFilter.GaussianBlur(1.5))
        return np.clip(np.asarray(blurred) + noise.normal(0, 4, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)

    assert_recovered(make)


def test_a_frame_in_a_frame() -> None:
    assert_recovered(lambda digit: framed(framed(page(digit), 20, 20, 20, 20, 90), 10, 10, 10, 10, 10))


def test_a_frame_around_ink_as_bright_as_the_paper() -> None:
    for digit in DIGITS:
        coverage = np.asarray(page(digit, 0, 255))[:, :, None] / 255
        colours = np.array([0.0, 117, 0]) * (1 - coverage) + np.array([230.0, 0, 0]) * coverage
        picture = np.rint(colours).astype(np.uint8)
        picture[:12], picture[-12:], picture[:, :12], picture[:, -12:] = 0, 0, 0, 0
        assert similarity(to_mnist(picture), digit) > 0.85


def test_a_frame_around_a_picture_of_mnist() -> None:
    for digit in DIGITS:
        picture = 255 - digit
        picture[0] = picture[-1] = picture[:, 0] = picture[:, -1] = 0
        assert similarity(to_mnist(picture), digit) > 0.85


@pytest.mark.parametrize("sides", [(0,), (2,), (1, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("deep", [0, 3])
def test_a_digit_that_touches_a_frame(deep: int, sides: tuple[int, ...]) -> None:
    """The frame is as dark as the ink, and hides `deep` pixels of it."""

    def make(digit: UInt8Array) -> Image.Image:
        rows, columns = (np.flatnonzero(np.asarray(page(digit)).min(axis) < 130) for axis in (1, 0))
        free = int(rows[0]), WIDTH - 1 - int(columns[-1]), HEIGHT - 1 - int(rows[-1]), int(columns[0])
        top, right, bottom, left = (free[side] + deep if side in sides else 8 for side in range(4))
        return framed(page(digit), top, right, bottom, left, 25)

    if len(sides) < 4:
        assert_recovered(make, 0.75)
        return
    for digit in np.delete(DIGITS, 2, 0):  # except 1: only two triangles of its paper would be left
        assert similarity(to_mnist(np.asarray(make(digit))), digit) > 0.75


def test_a_digit_that_fills_its_paper() -> None:
    picture = np.full((100, 80), 25, np.uint8)
    picture[10:-10, 10:-10] = 235
    picture[10:40, 20:30] = picture[60:80, 10:25] = picture[70:90, 45:60] = 25
    for each in (picture, 255 - picture):
        with pytest.raises(ImageError, match="the digit touches the edge of the paper or a frame"):
            to_mnist(each)


@pytest.mark.parametrize("padding", [3, 20, 90])
@pytest.mark.parametrize("thick", [8, 20, 30])
def test_strokes_of_angular_digits_are_not_frames(thick: int, padding: int) -> None:
    height, width = 180, 100
    middle = (height - thick) // 2
    parts = {
        "top": np.s_[:thick],
        "middle": np.s_[middle : middle + thick],
        "bottom": np.s_[-thick:],
        "left": np.s_[:, :thick],
        "right": np.s_[:, -thick:],
        "upper left": np.s_[: height // 2, :thick],
        "lower left": np.s_[height // 2 :, :thick],
        "upper right": np.s_[: height // 2, -thick:],
        "lower right": np.s_[height // 2 :, -thick:],
    }
    for strokes in (
        ("top", "bottom", "left", "right"),
        ("top", "middle", "bottom", "upper right", "lower left"),
        ("top", "middle", "bottom", "right"),
        ("top", "middle", "bottom", "left", "lower right"),
        ("top", "right"),
        ("top", "middle", "bottom", "left", "right"),
        ("top", "middle", "bottom", "upper left", "right"),
    ):
        form = np.zeros((height, width), np.uint8)
        for stroke in strokes:
            form[parts[stroke]] = 255
        expected = np.asarray(Image.fromarray(form).resize((11, 20), Image.Resampling.BOX))
        got = to_mnist(255 - np.pad(form, padding))
        rows, columns = np.flatnonzero(got.any(1)), np.flatnonzero(got.any(0))
        part = got[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert part.shape == (20, 11)
        assert np.corrcoef(part.ravel(), expected.ravel())[0, 1] > 0.9


# Shading


@pytest.mark.parametrize("depth", [0.3, 0.6, 0.9])
def test_vignettes(depth: float) -> None:
    y, x = np.meshgrid(np.linspace(-1, 1, HEIGHT), np.linspace(-1, 1, WIDTH), indexing="ij")
    light = 1 - depth * (x * x + y * y) / 2
    assert_recovered(lambda digit: np.rint(np.asarray(page(digit)) * light).astype(np.uint8))


def test_a_lamp_at_one_side() -> None:
    light = np.linspace(1, 0.4, WIDTH)
    assert_recovered(lambda digit: np.rint(np.asarray(page(digit)) * light).astype(np.uint8))


# Boxes and tables


@pytest.mark.parametrize("form", ["rectangle", "rounded_rectangle", "ellipse"])
@pytest.mark.parametrize("width", [1, 4])
def test_boxes(form: str, width: int) -> None:
    def make(digit: UInt8Array) -> Image.Image:
        image = page(digit, side=150)
        options = {"radius": 30} if form == "rounded_rectangle" else {}
        getattr(ImageDraw.Draw(image), form)((60, 10, 260, 230), outline=25, width=width, **options)
        return image

    assert_recovered(make)


def test_a_dot_in_a_zero_belongs_to_it() -> None:
    image = Image.new("L", (200, 300), 255)
    draw = ImageDraw.Draw(image)
    draw.ellipse((30, 30, 170, 270), outline=0, width=20)
    draw.ellipse((85, 135, 115, 165), fill=0)
    assert to_mnist(np.asarray(image))[14, 14] > 200


@pytest.mark.parametrize("angle", [0, 1, 3, 8])
def test_a_sheet_on_a_table(angle: int) -> None:
    def make(digit: UInt8Array) -> Image.Image:
        rotated = page(digit).rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=60)
        table = Image.new("L", (600, 500), 60)
        table.paste(rotated, (90, 70))
        return table

    assert_recovered(make, 0.65)  # the digit is rotated too
