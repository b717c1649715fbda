import gzip
import hashlib
import math
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from mnist import MNIST

from stackgrad.mnist.data import datasets
from stackgrad.mnist.data.datasets import CHECKSUMS, Dataset, MnistReader, Split, find, load, verify
from stackgrad.mnist.data.idx import IdxError, read_idx

FILES = Path(datasets.__file__).parents[1] / "files"
NAMES = list(CHECKSUMS)


def encode(array: npt.NDArray[np.uint8]) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write(path: Path, content: bytes | bytearray) -> Path:
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path


def write_set(
    folder: Path,
    names: list[str] = NAMES,
    shape: tuple[int, int] = (28, 28),
    counts: tuple[int, int] = (5, 3),
    suffix: str = "",
    first_label: int = 0,
) -> Path:
    """Write four files of random images; `names` are train images, train labels, test images and test labels."""
    for count, images, labels in zip(counts, names[::2], names[1::2], strict=True):
        pixels = np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)
        write(folder / (images + suffix), encode(pixels))
        write(folder / (labels + suffix), encode((first_label + np.arange(count)).astype(np.uint8)))
    return folder


def emnist_names(name: str) -> list[str]:
    parts = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
    return [f"emnist-{name}-{part}-ubyte" for part in parts]


# The data in the package


@pytest.fixture(scope="module")
def mnist() -> Dataset:
    return load()


def test_shipped_shapes(mnist: Dataset) -> None:
    assert (mnist.name, mnist.classes) == ("MNIST", 10)
    for split, count in ((mnist.train, 60_000), (mnist.test, 10_000)):
        assert (split.images.shape, split.images.dtype) == ((count, 28, 28), np.dtype(np.uint8))
        assert (split.labels.shape, split.labels.dtype) == ((count,), np.dtype(np.uint8))


def test_shipped_label_counts(mnist: Dataset) -> None:
    assert np.bincount(mnist.train.labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(mnist.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_shipped_files_are_the_originals(mnist: Dataset) -> None:
    verify()
    arrays = mnist.train.images, mnist.train.labels, mnist.test.images, mnist.test.labels
    assert [hashlib.md5(encode(array)).hexdigest() for array in arrays] == list(CHECKSUMS.values())


def test_shipped_files_against_the_parser_of_python_mnist(mnist: Dataset) -> None:
    slow = MNIST(str(FILES), return_type="numpy", gz=True)
    images, labels = slow.load(*(str(FILES / name) for name in NAMES[2:]), batch=[0, 100])
    np.testing.assert_array_equal(mnist.test.images[:100].reshape(100, 784), images)
    np.testing.assert_array_equal(mnist.test.labels[:100], labels)


def test_attribution_ships() -> None:
    text = (FILES / "ATTRIBUTION.md").read_text(encoding="utf-8")
    needed = ("Yann LeCun", "Corinna Cortes", "licenses/by-sa/3.0", "http://yann.lecun.com/exdb/mnist/")
    assert [words for words in needed if words not in text] == []


def test_verify_names_the_file_that_differs(tmp_path: Path) -> None:
    for path in FILES.glob("*.gz"):
        shutil.copy(path, tmp_path)
    labels = bytearray(gzip.decompress((tmp_path / f"{NAMES[3]}.gz").read_bytes()))
    labels[-1] ^= 1
    write(tmp_path / f"{NAMES[3]}.gz", labels)
    with pytest.raises(IdxError, match=rf"{NAMES[3]}.gz: not the original file: .* expected 27ae3e4e"):
        verify(tmp_path)


def test_import_shows_no_warning_of_python_mnist(tmp_path: Path) -> None:
    # As after an installation without bytecode: Python has to compile python-mnist's source.
    source = Path(sys.modules["mnist.loader"].__file__ or "").parent
    shutil.copytree(source, tmp_path / "mnist", ignore=shutil.ignore_patterns("__pycache__"))
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import stackgrad.mnist, mnist; print(mnist.__file__)"
    done = subprocess.run([sys.executable, "-W", "error", "-B", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path) in done.stdout


# Folders


def test_folder(tmp_path: Path) -> None:
    got = load(write_set(tmp_path))
    assert (got.name, got.classes) == (tmp_path.name, 10)
    assert (len(got.train), len(got.test)) == (5, 3)
    np.testing.assert_array_equal(got.train.images, read_idx(tmp_path / NAMES[0]))
    np.testing.assert_array_equal(got.test.labels, [0, 1, 2])


@pytest.mark.parametrize("winner", range(4))
def test_precedence_of_names(tmp_path: Path, winner: int) -> None:
    names = [f"train-images{mark}idx3-ubyte{suffix}" for mark in "-." for suffix in ("", ".gz")]
    for name in names[winner:]:
        (tmp_path / name).touch()
    assert find(tmp_path, names[0]) == [tmp_path / names[winner]]


def test_mixed_names(tmp_path: Path) -> None:
    expected = load(write_set(tmp_path))
    (tmp_path / NAMES[0]).rename(tmp_path / "train-images.idx3-ubyte")
    (tmp_path / NAMES[0]).mkdir()  # some downloads unpack to a folder of this name
    for name, variant in ((NAMES[1], f"{NAMES[1]}.gz"), (NAMES[2], "t10k-images.idx3-ubyte.gz")):
        write(tmp_path / variant, (tmp_path / name).read_bytes())
        (tmp_path / name).unlink()
    got = load(tmp_path)
    for part in ("train", "test"):
        np.testing.assert_array_equal(getattr(got, part).images, getattr(expected, part).images)
        np.testing.assert_array_equal(getattr(got, part).labels, getattr(expected, part).labels)


def test_missing_files_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(IdxError, match=rf"missing {', '.join(NAMES)} \(each may be named like"):
        load(tmp_path)
    write_set(tmp_path)
    for name in NAMES[1:3]:
        (tmp_path / name).unlink()
    variants = (
        r"train-labels-idx1-ubyte, train-labels-idx1-ubyte.gz, train-labels.idx1-ubyte or train-labels.idx1-ubyte"
    )
    with pytest.raises(IdxError, match=rf"missing {NAMES[1]}, {NAMES[2]} \(each may be named like {variants}.gz\)"):
        load(tmp_path)


def test_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IdxError, match="away: No such file or directory; expected a folder with the four IDX files"):
        load(tmp_path / "away")
    with pytest.raises(IdxError, match="file: Not a directory; expected a folder"):
        load(write(tmp_path / "file", b""))

    def deny(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", deny)
    with pytest.raises(IdxError, match=f"{tmp_path}: Permission denied; expected a folder"):
        load(tmp_path)


def test_labels_instead_of_images_and_of_other_labels(tmp_path: Path) -> None:
    write_set(tmp_path)
    shutil.copy(tmp_path / NAMES[1], tmp_path / NAMES[3])
    with pytest.raises(IdxError, match=rf"{NAMES[3]}: mismatched: 5 labels, but {NAMES[2]} has 3 images"):
        load(tmp_path)
    shutil.copy(tmp_path / NAMES[1], tmp_path / NAMES[0])
    with pytest.raises(IdxError, match=rf"{NAMES[0]}: the array has 1 dimension \(labels\), expected 3 \(images\)"):
        load(tmp_path)


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(IdxError, match=rf"{NAMES[2]}: there are no images \(0x28x28 = 0\)"):
        load(write_set(tmp_path, counts=(5, 0)))


@pytest.mark.parametrize("shape", [(32, 32), (14, 56)])
def test_other_image_sizes(tmp_path: Path, shape: tuple[int, int]) -> None:
    with pytest.raises(IdxError, match=f"{NAMES[0]}: images are {shape[0]}x{shape[1]}; the models need 28x28"):
        load(write_set(tmp_path, shape=shape))


def test_split_checks_its_arrays() -> None:
    images, labels = np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8)
    assert len(Split(images, labels)) == 2
    for args, message in (
        ((images, labels[:1]), "mismatched: 2 images and 1 labels"),
        ((images[:0], labels[:0]), "there are no images"),
        ((images[:, 1:], labels), "images are 27x28; the models need 28x28"),
        ((images.reshape(2, 784), labels), r"must have 3 dimensions and labels 1, not shapes \(2, 784\) and \(2,\)"),
        ((images, labels.astype(np.int64)), "must be uint8, not uint8 and int64"),
    ):
        with pytest.raises(IdxError, match=message):
            Split(*args)


# EMNIST and the modes of python-mnist


def test_emnist_letters(tmp_path: Path) -> None:
    names = emnist_names("letters")
    got = load(write_set(tmp_path, names, counts=(26, 5), suffix=".gz", first_label=1), emnist="letters")
    assert (got.name, got.classes) == ("EMNIST letters", 27)
    np.testing.assert_array_equal(got.train.images, read_idx(tmp_path / f"{names[0]}.gz").transpose(0, 2, 1))


def test_emnist_errors(tmp_path: Path) -> None:
    with pytest.raises(IdxError, match="EMNIST letters does not ship with the package: name the folder"):
        load(emnist="letters")
    with pytest.raises(IdxError, match=r"no EMNIST data set 'latin': expected one of balanced, .*, letters, mnist"):
        load(tmp_path, emnist="latin")
    with pytest.raises(IdxError, match=r"missing emnist-letters-train-images-idx3-ubyte, .*-train-labels"):
        load(write_set(tmp_path), emnist="letters")


@pytest.mark.parametrize("mode", ["vanilla", "rounded_binarized", "randomly_binarized"])
@pytest.mark.parametrize("emnist", [None, "digits"])
@pytest.mark.parametrize(("shape", "count"), [((4, 3), 7), ((1, 2), 5000)])
def test_equals_python_mnist(tmp_path: Path, mode: str, emnist: str | None, shape: tuple[int, int], count: int) -> None:
    names = NAMES if emnist is None else emnist_names(emnist)
    write_set(tmp_path, names, shape=shape, counts=(count, 3), suffix=".gz")
    readers = MnistReader(tmp_path, mode), MNIST(str(tmp_path), mode, "numpy", gz=True)
    results = []
    for reader in readers:
        if emnist is not None:
            reader.select_emnist(emnist)
        np.random.seed(0)
        batches = [array for batch in reader.load_training_in_batches(count // 3) for array in batch]
        results.append([*reader.load_training(), *reader.load_testing(), *batches])
    assert results[0][0].shape == (count, math.prod(shape))
    for ours, theirs in zip(*results, strict=True):
        assert ours.dtype == np.uint8
        np.testing.assert_array_equal(ours, theirs)
