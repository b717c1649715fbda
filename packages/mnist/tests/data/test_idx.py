import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stackgrad.mnist import IdxError, read_idx
from stackgrad.mnist.data import idx

IMAGES = struct.pack(">4B3I", 0, 0, 8, 3, 2, 2, 3) + bytes(range(12))
LABELS = struct.pack(">4BI", 0, 0, 8, 1, 2) + bytes([7, 1])


def encode(array: npt.NDArray[np.uint8]) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(path: Path, content: bytes | bytearray) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def peak_megabytes(call: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


small_arrays = hnp.arrays(np.uint8, st.sampled_from([1, 3]).flatmap(lambda n: st.tuples(*[st.integers(0, 5)] * n)))


@given(small_arrays, st.sampled_from(["a-idx", "a-idx.gz"]))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, array: npt.NDArray[np.uint8], name: str) -> None:
    path = write(tmp_path_factory.mktemp("round") / name, encode(array))
    for dimensions in (None, array.ndim):
        got = read_idx(path, dimensions)
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, array, strict=True)


@given(small_arrays, st.data())
def test_another_length_is_an_error(
    tmp_path_factory: pytest.TempPathFactory, array: npt.NDArray[np.uint8], draw: st.DataObject
) -> None:
    content = encode(array)
    change = draw.draw(st.integers(-len(content), 5).filter(bool))
    changed = content[:change] if change < 0 else content + bytes(change)
    folder = tmp_path_factory.mktemp("length")
    for name in ("a-idx", "a-idx.gz"):
        with pytest.raises(IdxError, match=r"truncated|oversized|not an IDX file|empty"):
            read_idx(write(folder / name, changed))


def test_more_than_one_chunk(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 1000, 1000), dtype=np.uint8)
    for name in ("a", "a.gz"):
        np.testing.assert_array_equal(read_idx(write(tmp_path / name, encode(array))), array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\0\0\x08", "truncated: the file ends within its header"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file: it starts with the bytes 89 50 4e 47, expected 00 00 08"),
        (b"\0\0\x0a\3" + IMAGES[4:], "not an IDX file: it starts with the bytes 00 00 0a 03"),
        (b"\0\0\x0d\3" + IMAGES[4:], r"the elements are float32 \(type 0d\), expected uint8 \(08\)"),
        (b"\0\0\x08\2" + IMAGES[4:], r"the array has 2 dimensions, expected 1 \(labels\) or 3 \(images\)"),
        (b"\0\0\x08\0", "the array has 0 dimensions, expected 1"),
        (IMAGES[:11], "truncated: the file ends within its header"),
        (IMAGES[:-1], "truncated: the header promises 2x2x3 = 12 bytes, but only 11 follow"),
        (LABELS[:-1], "truncated: the header promises 2 bytes, but only 1 follow"),
        (IMAGES + b"x", "oversized: the header promises 2x2x3 = 12 bytes, but more follow"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_flawed_content(tmp_path: Path, content: bytes, message: str, suffix: str) -> None:
    path = write(tmp_path / f"a-idx{suffix}", content)
    with pytest.raises(IdxError, match=message) as caught:
        read_idx(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "wanted", "message"),
    [(LABELS, 3, r"1 dimension \(labels\), expected 3 \(im"), (IMAGES, 1, r"3 dimensions \(images\), expected 1 \(l")],
)
def test_other_dimensions_than_requested(tmp_path: Path, content: bytes, wanted: int, message: str) -> None:
    with pytest.raises(IdxError, match=message):
        read_idx(write(tmp_path / "a", content), dimensions=wanted)


def flipped(content: bytes, index: int) -> bytes:
    return content[:index] + bytes([content[index] ^ 0xFF]) + content[index + 1 :]


ZIPPED = gzip.compress(IMAGES, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.gz", b"", "the file is empty"),
        ("a.gz", IMAGES, "named .gz, but not gzip-compressed: it starts with the bytes 00 00"),
        ("a", ZIPPED, "gzip-compressed, but not named .gz: add .gz to its name"),
        ("a.gz", ZIPPED[:-9], "truncated: the gzip data ends early"),
        ("a.gz", flipped(ZIPPED, len(ZIPPED) - 8), "damaged gzip data: CRC check failed"),
        ("a.gz", flipped(ZIPPED, len(ZIPPED) - 1), "damaged gzip data: Incorrect length"),
        ("a.gz", flipped(ZIPPED, 10), "damaged gzip data: Error -3"),
        ("a.gz", ZIPPED + b"junk", "damaged gzip data: Not a gzipped file"),
        ("a.gz", ZIPPED + ZIPPED, "oversized: the header promises 2x2x3 = 12 bytes"),
    ],
)
def test_flawed_gzip(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IdxError, match=rf"{name}: {message}"):
        read_idx(tmp_path / name)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2**32 - 1, 28, 28), "but at most 805,306,368 are accepted"),
        ((0, 2**32 - 1, 2**32 - 1), "but at most 805,306,368 are accepted"),
        (
            (1_000_000, 28, 28),
            "truncated: the header promises 1000000x28x28 = 784,000,000 bytes, but the file has only",
        ),
    ],
)
def test_a_huge_header_allocates_nothing(tmp_path: Path, shape: tuple[int, ...], message: str, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", struct.pack(">4B3I", 0, 0, 8, 3, *shape) + bytes(100))

    def attempt() -> None:
        with pytest.raises(IdxError, match=message):
            read_idx(path)

    assert peak_megabytes(attempt) < 2


def test_gzip_bomb_is_not_decompressed(tmp_path: Path) -> None:
    path = write(tmp_path / "bomb.gz", IMAGES + bytes(30_000_000))

    def attempt() -> None:
        with pytest.raises(IdxError, match="oversized"):
            read_idx(path)

    assert peak_megabytes(attempt) < 5


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(IdxError, match="nothing: No such file or directory"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(IdxError, match=f"{tmp_path}: Is a directory"):
        read_idx(tmp_path)
    monkeypatch.setattr(idx, "open", deny, raising=False)
    with pytest.raises(IdxError, match="a: Permission denied"):
        read_idx(tmp_path / "a")
