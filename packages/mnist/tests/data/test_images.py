import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from stackgrad.mnist.data import images
from stackgrad.mnist.data.datasets import Split, load
from stackgrad.mnist.data.images import ImageError, read_image, to_mnist

UInt8Array = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def digits() -> UInt8Array:
    return load().test.images[:100]


def seven(size: tuple[int, int] = (300, 200), thickness: int = 16) -> Image.Image:
    """Black on white, as a drawing program would save it."""
    page = Image.new("L", size, 255)
    ImageDraw.Draw(page).line([(60, 40), (130, 40), (80, 150)], fill=0, width=thickness, joint="curve")
    return page


def save(folder: Path, image: Image.Image, name: str = "digit.png", **options: Any) -> Path:
    image.save(folder / name, **options)
    return folder / name


def centre_of_mass(image: UInt8Array) -> npt.NDArray[np.float64]:
    return np.array([(image.sum(1 - axis) @ np.arange(28)) / image.sum() for axis in (0, 1)])


def extent(image: UInt8Array) -> tuple[int, int]:
    """Height and width of the bounding box of the ink."""
    rows, columns = np.nonzero(image)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def outcome(call: Callable[[], UInt8Array]) -> UInt8Array | str:
    """The result of a call, or the message of its `ImageError`."""
    try:
        return call()
    except ImageError as error:
        return str(error)


def similarity(a: UInt8Array, b: UInt8Array) -> float:
    """The highest correlation of two images if one of them may be moved by a pixel.

    A centre of mass halfway between two pixels may be rounded either way.
    """
    moved = [np.roll(a, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float(np.corrcoef(image.ravel(), b.ravel())[0, 1]) for image in moved)


def assert_format(image: UInt8Array) -> None:
    assert (image.shape, image.dtype, image.max()) == ((28, 28), np.dtype(np.uint8), 255)
    assert max(extent(image)) <= 20
    assert np.abs(centre_of_mass(image) - 14).max() <= 0.51


def assert_close(got: UInt8Array, expected: UInt8Array) -> None:
    assert np.abs(got.astype(int) - expected).mean() < 2


def test_mnist_itself_has_the_format(digits: UInt8Array) -> None:
    for image in digits:
        assert np.abs(centre_of_mass(image) - 14).max() <= 0.51
        assert max(extent(image)) == 20


@pytest.mark.parametrize("inverted", [False, True])
def test_images_of_mnist_are_unchanged(tmp_path: Path, digits: UInt8Array, inverted: bool) -> None:
    for image in digits[:20]:
        path = save(tmp_path, Image.fromarray(255 - image if inverted else image))
        np.testing.assert_array_equal(read_image(path), image)


@pytest.mark.parametrize("inverted", [False, True])
def test_enlarged_and_moved_images_of_mnist_are_recovered(digits: UInt8Array, inverted: bool) -> None:
    similarities = []
    for image in digits:
        page = Image.new("L", (640, 480))
        page.paste(Image.fromarray(image).resize((280, 280), Image.Resampling.BICUBIC), (310, 30))
        got = to_mnist(255 - np.asarray(page) if inverted else np.asarray(page))
        assert_format(got)
        similarities.append(similarity(got, image))
    assert min(similarities) > 0.8
    assert np.mean(similarities) > 0.96


def test_photo_of_a_digit_is_recovered(digits: UInt8Array) -> None:
    noise = np.random.default_rng(0)
    shade = np.linspace(200, 150, 640)  # one side of the paper is in shadow
    similarities = []
    for image in digits[:20]:
        page = Image.new("L", (640, 480))
        page.paste(Image.fromarray(image).resize((280, 280), Image.Resampling.BICUBIC), (310, 30))
        coverage = np.asarray(page) / 255
        photo = shade * (1 - coverage) + 50 * coverage + noise.normal(0, 5, coverage.shape)
        got = to_mnist(np.clip(photo, 0, 255).astype(np.uint8))
        assert_format(got)
        similarities.append(similarity(got, image))
    assert min(similarities) > 0.8
    assert np.mean(similarities) > 0.96


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.tuples(*[st.integers(1, 40)] * 4),
    st.integers(0, 255),
    st.integers(0, 255),
)
@example(60, 1, (1, 1, 1, 1), 255, 0)
@example(1, 1, (9, 18, 9, 18), 0, 255)
def test_a_rectangle_fills_the_box(
    height: int, width: int, padding: tuple[int, int, int, int], paper: int, pen: int
) -> None:
    top, bottom, left, right = padding
    page = np.full((top + height + bottom, left + width + right), paper, np.uint8)
    page[top : top + height, left : left + width] = pen
    if abs(paper - pen) < 24:
        with pytest.raises(ImageError, match="blank"):
            to_mnist(page)
        return
    if page.shape == (28, 28):
        return
    got = to_mnist(page)
    assert_format(got)
    longest = max(height, width)
    assert extent(got) == (max(1, round(20 * height / longest)), max(1, round(20 * width / longest)))
    assert set(np.unique(got)) == {0, 255}


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)))
def test_any_array_gives_an_image_or_an_image_error(grey: UInt8Array) -> None:
    before = grey.copy()
    got = outcome(lambda: to_mnist(grey))
    if isinstance(got, str):
        assert "blank" in got or "leave some plain paper" in got
    else:
        assert (got.shape, got.dtype) == ((28, 28), np.dtype(np.uint8))
        assert got.max() > 0
    np.testing.assert_array_equal(grey, before)


def test_thin_lines_stay_visible() -> None:
    got = to_mnist(np.asarray(seven(thickness=2)))
    assert_format(got)
    assert got[got > 0].mean() > 60


def test_a_stroke_of_half_the_contrast_belongs_to_the_digit() -> None:
    page = np.full((100, 100), 255, np.uint8)
    page[40:60, 20:40] = 0
    page[40:60, 40:60] = 140
    got = to_mnist(page)
    assert_format(got)
    assert extent(got) == (10, 20)


def test_a_split_accepts_the_result(digits: UInt8Array) -> None:
    assert len(Split(to_mnist(np.asarray(seven()))[None], np.array([7], np.uint8))) == 1


# File formats


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((f"a.{suffix}", mode) for suffix in ("png", "jpg", "bmp", "webp") for mode in ("L", "RGB")),
        *(("a.png", mode) for mode in ("1", "P", "LA", "RGBA", "I;16")),
        ("a.jpg", "CMYK"),
        ("a.gif", "P"),
    ],
)
def test_formats_and_modes(tmp_path: Path, name: str, mode: str) -> None:
    image = seven()
    expected = to_mnist(np.asarray(image))
    if mode == "I;16":
        converted = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        converted = image.convert("RGB").convert(mode) if mode == "CMYK" else image.convert(mode)
    path = save(tmp_path, converted, name)
    with Image.open(path) as reopened:
        assert reopened.mode == mode or (name, mode) in {("a.webp", "L"), ("a.gif", "P")}
    assert_close(read_image(path), expected)


@pytest.mark.parametrize(
    ("paper", "pen"),
    [
        ((255, 255, 0), (0, 0, 255)),
        ((0, 0, 80), (255, 200, 200)),
        ((255, 255, 255), (255, 255, 0)),
        ((90,) * 3, (0,) * 3),
        # Equally bright:
        ((0, 117, 0), (230, 0, 0)),
        ((97, 0, 0), (0, 0, 255)),
        ((105,) * 3, (255, 0, 255)),
        ((120, 200, 130), (230, 152, 120)),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "palette", "CMYK"])
def test_colours(tmp_path: Path, name: str, paper: tuple[int, int, int], pen: tuple[int, int, int]) -> None:
    ink = seven()
    image = Image.composite(Image.new("RGB", ink.size, paper), Image.new("RGB", ink.size, pen), ink)
    if name == "palette":
        path = save(tmp_path, image.quantize(16), "a.gif")
    elif name == "CMYK":
        path = save(tmp_path, image.convert("CMYK"), "a.jpg", quality=95)
    else:
        path = save(tmp_path, image, name)
    got = read_image(path)
    assert_format(got)
    assert similarity(got, to_mnist(np.asarray(ink))) > 0.97


def test_equally_bright_ink_and_paper_in_a_large_picture(tmp_path: Path) -> None:
    large = seven().resize((3000, 2000))
    image = Image.composite(Image.new("RGB", large.size, (0, 117, 0)), Image.new("RGB", large.size, (230, 0, 0)), large)
    for name in ("a.png", "a.jpg"):
        assert similarity(read_image(save(tmp_path, image, name)), to_mnist(np.asarray(seven()))) > 0.97


@pytest.mark.parametrize("pen", [0, 255, 128])
@pytest.mark.parametrize("hidden", [0, 255])
def test_transparent_paper(tmp_path: Path, pen: int, hidden: int) -> None:
    alpha = seven().point([255 - level for level in range(256)])
    image = Image.composite(Image.new("L", alpha.size, pen), Image.new("L", alpha.size, hidden), alpha)
    image.putalpha(alpha)
    assert_close(read_image(save(tmp_path, image)), to_mnist(np.asarray(seven())))


def test_transparent_palette(tmp_path: Path) -> None:
    image = seven().convert("1").convert("P")  # black ink; white, index 255, is transparent
    path = save(tmp_path, image, transparency=255)
    assert_close(read_image(path), to_mnist(np.asarray(seven())))


def test_orientation_of_a_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # viewers rotate it by 90 degrees clockwise
    path = save(tmp_path, seven().transpose(Image.Transpose.ROTATE_90), "a.jpg", exif=exif)
    assert_close(read_image(path), to_mnist(np.asarray(seven())))


def test_large_images_are_the_same_digit(tmp_path: Path) -> None:
    large = seven().resize((3000, 2000), Image.Resampling.BICUBIC)
    large.putpixel((2900, 1900), 0)  # a speck of dust, which averaging removes
    got = read_image(save(tmp_path, large))
    assert_format(got)
    assert similarity(got, to_mnist(np.asarray(seven()))) > 0.99


@pytest.mark.parametrize("pen", [0, 255])
def test_a_large_transparent_image_is_the_same_digit(tmp_path: Path, pen: int) -> None:
    alpha = seven().resize((3000, 2000), Image.Resampling.BICUBIC).point([255 - level for level in range(256)])
    image = Image.new("L", alpha.size, pen)
    image.putalpha(alpha)
    assert_close(read_image(save(tmp_path, image)), to_mnist(np.asarray(seven())))


def test_a_large_photo_is_rotated_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    large = seven().resize((3000, 2000), Image.Resampling.BICUBIC).transpose(Image.Transpose.ROTATE_90)
    got = read_image(save(tmp_path, large, "a.jpg", exif=exif))
    assert similarity(got, to_mnist(np.asarray(seven()))) > 0.99


def test_the_largest_image_takes_little_memory(tmp_path: Path) -> None:
    image = Image.new("RGBA", (7000, 7000))
    image.paste((0, 0, 0, 255), (3000, 2000, 3500, 5000))
    path = save(tmp_path, image, compress_level=1)
    code = "import sys; from pathlib import Path; from stackgrad.mnist.data import images; "
    code += "from stackgrad.mnist.runs import process; "
    code += "images.read_image(Path(sys.argv[1])); print(process.peak_memory_mb())"
    process = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
    assert 196 < float(process.stdout) < 400  # the decoded picture alone needs 196


def test_the_contents_of_a_file(tmp_path: Path) -> None:
    path = save(tmp_path, seven())
    np.testing.assert_array_equal(read_image(path.read_bytes()), read_image(path))
    with pytest.raises(ImageError, match=r"^not an image in a known format: expected PNG"):
        read_image(b"hello")


def test_sixteen_bits_keep_the_levels_of_grey(tmp_path: Path, digits: UInt8Array) -> None:
    path = save(tmp_path, Image.fromarray(digits[0].astype(np.uint16) * 257))
    np.testing.assert_array_equal(read_image(path), digits[0])


def test_sixteen_bits_with_transparent_paper(tmp_path: Path) -> None:
    grey = np.where(np.asarray(seven()) > 128, 1000, 0).astype(np.uint16)
    path = save(tmp_path, Image.fromarray(grey), transparency=1000)
    assert_close(read_image(path), to_mnist(np.asarray(seven().point([0] * 129 + [255] * 127))))


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_the_first_picture_of_an_animation(tmp_path: Path, name: str) -> None:
    options = {"save_all": True, "append_images": [Image.new("RGB", (300, 200))]}
    path = save(tmp_path, seven().convert("RGB"), name, **options)
    assert_close(read_image(path), to_mnist(np.asarray(seven())))


# Errors


def assert_error(path: Path, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["L", "RGBA"])
@pytest.mark.parametrize("size", [(28, 28), (300, 200), (1, 1)])
def test_blank(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    assert_error(
        save(tmp_path, Image.new(mode, size)), "the image is blank: no pixel differs from the background by 24"
    )


def test_noise_is_blank() -> None:
    noise = np.random.default_rng(0).normal(200, 4, (100, 100)).astype(np.uint8)
    with pytest.raises(ImageError, match="blank"):
        to_mnist(noise)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"]
)
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert_error(path, "not an image in a known format: expected PNG, JPEG, BMP, GIF or WebP")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_truncated(tmp_path: Path, name: str) -> None:
    path = save(tmp_path, seven(), name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    assert_error(path, "damaged image: .*truncated")


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_error(tmp_path / "nothing.png", "No such file or directory")
    assert_error(tmp_path, "Is a directory")

    def deny(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", deny)
    assert_error(tmp_path / "a.png", "Permission denied")


@pytest.mark.parametrize("size", [(7200, 7200), (10_000, 10_000)])  # Pillow warns about the second
def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]) -> None:
    path = save(tmp_path, Image.new("1", size))
    monkeypatch.setattr(images, "_small", None)  # refused without being decompressed
    assert_error(path, f"too large: {size[0]}x{size[1]} pixels; at most 50,000,000 are accepted")


def test_decompression_bomb(tmp_path: Path) -> None:
    path = save(tmp_path, Image.new("1", (8, 8)), "a.bmp")
    content = bytearray(path.read_bytes())
    content[18:26] = (100_000).to_bytes(4, "little") * 2
    path.write_bytes(content)
    assert_error(path, "too large: at most 50,000,000 pixels are accepted")


def test_wrong_arrays() -> None:
    for array in (np.zeros((28, 28)), np.zeros((1, 28, 28), np.uint8), np.zeros((0, 5), np.uint8), np.uint8(0)):
        with pytest.raises(ImageError, match=r"expected a picture, uint8 \(height, width\) or \(height"):
            to_mnist(array)  # type: ignore[arg-type]


def encoded(form: str) -> bytes:
    buffer = io.BytesIO()
    seven((120, 90), 8).save(buffer, form)
    return buffer.getvalue()


FILES = {form: encoded(form) for form in ("PNG", "JPEG", "BMP", "GIF", "WEBP")}


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 10**4),
)
def test_damaged_files_give_an_image_or_an_image_error(
    tmp_path_factory: pytest.TempPathFactory, form: str, changes: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(FILES[form])
    for position, value in changes:
        content[position % len(content)] = value
    path = tmp_path_factory.mktemp("damaged") / "a"
    path.write_bytes(content[: max(cut, 1)])
    got = outcome(lambda: read_image(path))
    if isinstance(got, str):
        assert got.startswith(f"{path}: ")
        assert "\n" not in got
    else:
        assert (got.shape, got.dtype) == ((28, 28), np.dtype(np.uint8))
