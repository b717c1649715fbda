"""MNIST, and any data set in its file format, as NumPy arrays.

The four files of MNIST ship with the package. A folder with four files of the same names works as well (Fashion-MNIST,
KMNIST, EMNIST, or your own).
"""

import functools
import hashlib
import math
import os
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

with warnings.catch_warnings():
    # python-mnist 0.7 compares with literals by `is`, which gives a SyntaxWarning when Python first compiles it.
    warnings.simplefilter("ignore", SyntaxWarning)
    from mnist import MNIST

from .idx import IdxError, UInt8Array, extents, opened, read_idx

CHECKSUMS: Final = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 sums of the four original files of MNIST, decompressed."""

EMNIST_NAMES: Final = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
"""The data sets of EMNIST (Cohen et al. 2017, https://arxiv.org/abs/1702.05373)."""

IMAGE_SHAPE: Final = (28, 28)


@dataclass(frozen=True, eq=False)
class Split:
    """Images and their labels.

    Attributes:
        images: uint8 (N, 28, 28), N at least 1; 0 is the background, 255 full ink.
        labels: uint8 (N,).

    Raises:
        IdxError: another dtype or shape, no images, or different counts of images and labels.
    """

    images: UInt8Array
    labels: UInt8Array

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.labels.dtype != np.uint8:
            raise IdxError(f"images and labels must be uint8, not {self.images.dtype} and {self.labels.dtype}")
        if self.images.ndim != 3 or self.labels.ndim != 1:
            raise IdxError(
                f"images must have 3 dimensions and labels 1, not shapes {self.images.shape} and {self.labels.shape}"
            )
        if self.images.shape[1:] != IMAGE_SHAPE:
            raise IdxError(_wrong_size(self.images.shape[1:]))
        if len(self.images) != len(self.labels):
            raise IdxError(f"mismatched: {len(self.images):,} images and {len(self.labels):,} labels")
        if not len(self.images):
            raise IdxError("there are no images")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training images, test images, and a name to print."""

    train: Split
    test: Split
    name: str

    @property
    def classes(self) -> int:
        """One more than the highest label of both splits, but at least 10.

        The labels of EMNIST letters are 1 to 26, so it has 27 classes, and class 0 is unused.
        """
        return max(10, 1 + int(self.train.labels.max()), 1 + int(self.test.labels.max()))

    @functools.cached_property
    def checksum(self) -> str:
        """CRC-32 of all images and labels."""
        crc = 0
        for split in (self.train, self.test):
            for array in (split.images, split.labels):
                crc = zlib.crc32(np.ascontiguousarray(array).data, crc)
        return f"{crc:08x}"


class MnistReader(MNIST):  # type: ignore[misc]
    """python-mnist's `MNIST` class with an array reader: it has the same file names, EMNIST selection and modes.

    `load_training()` and `load_testing()` return images (N, rows * columns) and labels (N,); in the binarized modes,
    pixels are 0 and 1. Unlike the base class, it always returns NumPy uint8, finds each file gzipped or not (see
    `find`), and raises `IdxError` for every error in a file.

    Args:
        path: the folder.
        mode: "vanilla", "rounded_binarized" or "randomly_binarized" (draws from NumPy's global generator).
    """

    def __init__(self, path: Path | str = ".", mode: str = "vanilla") -> None:
        super().__init__(str(path), mode=mode, return_type="numpy")
        self.image_shape = (0, 0)
        """Rows and columns of the last images loaded."""

    def select_emnist(self, dataset: str = "digits") -> None:
        """Read the files of one of `EMNIST_NAMES`, and transpose the images."""
        if dataset not in EMNIST_NAMES:
            raise IdxError(f"there is no EMNIST data set {dataset!r}: expected one of {', '.join(EMNIST_NAMES)}")
        super().select_emnist(dataset)

    def opener(self, path_fn: str, *args: Any, **kwargs: Any) -> Any:
        """Open a file by the base class's name for it, and decompress it if necessary."""
        return opened(_found(path_fn))

    def load(self, path_img: str, path_lbl: str, batch: list[int] | None = None) -> tuple[UInt8Array, UInt8Array]:
        """Read images (N, rows * columns) and labels (N,), or `batch` = [start, count] of them."""
        images_path, labels_path = _found(path_img), _found(path_lbl)
        images, labels = read_idx(images_path, dimensions=3), read_idx(labels_path, dimensions=1)
        if len(images) != len(labels):
            raise IdxError(
                f"{labels_path}: mismatched: {len(labels):,} labels, but {images_path.name} has {len(images):,} images"
            )
        if not images.size:
            raise IdxError(f"{images_path}: there are no images ({extents(images.shape)})")
        if batch is not None:
            start, count = batch
            images, labels = images[start : start + count], labels[start : start + count]
        if self.emnistRotate:
            images = _transposed(images)
        self.image_shape = images.shape[1:]
        return images.reshape(len(images), math.prod(self.image_shape)), labels

    def process_images_to_numpy(self, images: UInt8Array) -> UInt8Array:
        """Apply the mode to images (N, pixels)."""
        if self.mode == "vanilla":
            return images
        binary: UInt8Array = super().process_images_to_numpy(images).astype(np.uint8)
        return binary


def load(directory: Path | None = None, emnist: str | None = None) -> Dataset:
    """Load a data set of 28x28 images.

    Args:
        directory: the folder with the four files; None for MNIST itself, which ships with the package.
        emnist: one of `EMNIST_NAMES`, to read its files in `directory`.

    Raises:
        IdxError: the data set cannot be used; one line names the file and the problem.
    """
    if directory is not None:
        directory = Path(directory)
        return _load(directory, emnist, f"EMNIST {emnist}" if emnist else directory.resolve().name or str(directory))
    if emnist is not None:
        raise IdxError(f"EMNIST {emnist} does not ship with the package: name the folder with its files")
    with _shipped() as folder:
        return _load(folder, None, "MNIST")


def verify(directory: Path | None = None) -> None:
    """Raise `IdxError` if MNIST's files, by default those in the package, differ from the original ones."""
    with _shipped() if directory is None else nullcontext(directory) as folder:
        for path, expected in zip(find(folder, *CHECKSUMS), CHECKSUMS.values(), strict=True):
            with opened(path) as file:
                found = hashlib.file_digest(file, functools.partial(hashlib.md5, usedforsecurity=False)).hexdigest()
            if found != expected:
                raise IdxError(f"{path}: not the original file: its MD5 sum is {found}, expected {expected}")


def find(directory: Path, *names: str) -> list[Path]:
    """Find files in a folder by python-mnist's names.

    For "train-images-idx3-ubyte", this is the first file that exists out of: the name itself, the name with `.gz`, and
    the same two as `train-images.idx3-ubyte`, which some downloads use. So a decompressed file has precedence over a
    gzipped one.

    Raises:
        IdxError: the folder cannot be read, or files are missing; the message names all of them.
    """
    try:
        with os.scandir(directory) as entries:
            present = {entry.name for entry in entries if entry.is_file()}
    except OSError as error:
        raise IdxError(f"{directory}: {error.strerror}; expected a folder with the four IDX files") from error
    wanted = [
        [candidate for base in (name, name.replace("-idx", ".idx")) for candidate in (base, f"{base}.gz")]
        for name in names
    ]
    found = [[name for name in candidates if name in present] for candidates in wanted]
    missing = [candidates for candidates, there in zip(wanted, found, strict=True) if not there]
    if missing:
        absent = ", ".join(candidates[0] for candidates in missing)
        names_of_first = "{}, {}, {} or {}".format(*missing[0])
        raise IdxError(f"{directory}: missing {absent} (each may be named like {names_of_first})")
    return [directory / there[0] for there in found]


def _found(path: str) -> Path:
    """The file that python-mnist calls `path`."""
    return find(Path(path).parent, Path(path).name)[0]


@contextmanager
def _shipped() -> Iterator[Path]:
    with resources.as_file(resources.files("stackgrad.mnist") / "files") as folder:
        yield folder


def _load(directory: Path, emnist: str | None, name: str) -> Dataset:
    reader = MnistReader(directory)
    if emnist is not None:
        reader.select_emnist(emnist)
    # Find them together, so that one message names all missing files.
    train_path, _, test_path, _ = find(
        directory, reader.train_img_fname, reader.train_lbl_fname, reader.test_img_fname, reader.test_lbl_fname
    )

    def split(path: Path, load: Callable[[], tuple[UInt8Array, UInt8Array]]) -> Split:
        images, labels = load()
        if reader.image_shape != IMAGE_SHAPE:
            raise IdxError(f"{path}: {_wrong_size(reader.image_shape)}")
        return Split(images.reshape(-1, *IMAGE_SHAPE), labels)

    return Dataset(split(train_path, reader.load_training), split(test_path, reader.load_testing), name)


def _transposed(images: UInt8Array) -> UInt8Array:
    """Transpose each of the images (N, rows, columns): EMNIST stores them by columns."""
    count, rows, columns = images.shape
    flat = images.reshape(count, rows * columns)
    for start in range(0, count, 4096):  # in place, since two copies of EMNIST's largest file would exceed a gigabyte
        block = slice(start, start + 4096)
        flat[block] = images[block].transpose(0, 2, 1).reshape(-1, rows * columns)
    return flat.reshape(count, columns, rows)


def _wrong_size(shape: tuple[int, ...]) -> str:
    return f"images are {'x'.join(map(str, shape))}; the models need {'x'.join(map(str, IMAGE_SHAPE))}"
