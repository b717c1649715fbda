"""Pictures with 16 bits per channel."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stackgrad.mnist.data.datasets import load
from stackgrad.mnist.data.images import read_image

UInt8Array = NDArray[np.uint8]
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # PNG's colour type for each count of channels


def png(values: NDArray[np.float64], transparent: tuple[int, ...] = ()) -> bytes:
    """A PNG file with 16 bits per channel (height, width, channels). Pillow can only write grey ones."""
    height, width, channels = values.shape
    rows = np.rint(values).astype(">u2").reshape(height, -1)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 16, COLOUR_TYPES[channels], 0, 0, 0)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header),
            chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b"",
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))) + chunk(b"IEND", b""),
        ]
    )


@pytest.fixture
def grey() -> NDArray[np.float64]:
    """A digit (140, 140, 1), 0 to 1."""
    return np.asarray(Image.fromarray(load().test.images[0]).resize((140, 140)))[:, :, None] / 255


def expected(grey: NDArray[np.float64]) -> UInt8Array:
    return read_image(png(65535 * grey))


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("brightest", [255, 1023, 4080, 4095, 16383, 65520, 65535])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pictures_that_use_fewer_bits(channels: int, brightest: int, inverted: bool, grey: NDArray[np.float64]) -> None:
    levels = brightest * (1 - grey if inverted else grey)
    for opaque in (brightest, 65535):
        parts = [levels] * (3 if channels > 2 else 1) + [np.full_like(levels, opaque)] * (channels % 2 == 0)
        read = read_image(png(np.concatenate(parts, 2)))
        np.testing.assert_allclose(read.astype(int), expected(grey), atol=30)  # edges move by a shade


def test_a_file_on_disk(tmp_path: Path, grey: NDArray[np.float64]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(np.repeat(4095 * grey, 3, 2)))
    np.testing.assert_allclose(read_image(path).astype(int), expected(grey), atol=30)


def test_colours_that_differ_only_in_the_lower_bits(grey: NDArray[np.float64]) -> None:
    green = np.concatenate([0 * grey, 200 * grey + 20, 0 * grey], 2)  # 8 bits used out of 16
    np.testing.assert_allclose(read_image(png(green)).astype(int), expected(grey), atol=30)


@pytest.mark.parametrize("channels", [2, 4])
def test_a_digit_that_only_the_opacity_shows(channels: int, grey: NDArray[np.float64]) -> None:
    black = np.zeros((*grey.shape[:2], channels - 1))
    read = read_image(png(np.concatenate([black, 4095 * grey], 2)))
    np.testing.assert_allclose(read.astype(int), expected(grey), atol=30)


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_paper(channels: int, grey: NDArray[np.float64]) -> None:
    values = np.repeat(np.where(grey > 0.5, 100.0, 1000.0), channels, 2)
    read = read_image(png(values, (1000,) * channels))
    np.testing.assert_allclose(read.astype(int), expected((grey > 0.5).astype(float)), atol=30)
