"""The data sets that can be named: where they are published, and the checksums of their files.

The sizes and SHA-256 sums are those that TensorFlow Datasets records for the addresses below (in its files
tensorflow_datasets/url_checksums/mnist.txt, fashion_mnist.txt and kmnist.txt).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from .datasets import CHECKSUMS


@dataclass(frozen=True)
class File:
    """A published file: its name, its size in bytes, and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Published:
    """A data set: what it shows, its web page, the names of its classes, its mirrors and its files."""

    about: str
    page: str
    labels: tuple[str, ...]
    mirrors: tuple[str, ...]
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files)


def _files(*sizes_and_sums: tuple[int, str]) -> tuple[File, ...]:
    return tuple(File(f"{name}.gz", *given) for name, given in zip(CHECKSUMS, sizes_and_sums, strict=True))


PUBLISHED = {
    "mnist": Published(
        "handwritten digits",
        "http://yann.lecun.com/exdb/mnist/",
        tuple("0123456789"),
        ("https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"),
        _files(
            (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
    "fashion-mnist": Published(
        "articles of clothing",
        "https://github.com/zalandoresearch/fashion-mnist",
        (
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        _files(
            (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
    "kmnist": Published(
        "cursive Japanese characters",
        "http://codh.rois.ac.jp/kmnist/",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
        _files(
            (18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
    ),
}


HOMELESS = Path("~", "stackgrad", "data")
"""The result of `data_folder` if the user has no home folder. Nothing is written there."""


def data_folder() -> Path:
    """The folder for fetched data sets: STACKGRAD_DATA_DIR, or a folder in the user's data folder."""
    if given := os.environ.get("STACKGRAD_DATA_DIR"):
        return Path(given)
    try:
        folder = platformdirs.user_data_path("stackgrad") / "data"
    except RuntimeError:
        return HOMELESS
    return HOMELESS if folder.parts[0] == "~" else folder  # older versions of platformdirs do not raise


def folder_of(name: str) -> Path:
    """The folder of a fetched data set, whether it exists or not."""
    return data_folder() / name


def missing(name: str, folder: Path) -> list[File]:
    """The files of a data set that are missing from a folder, or have the wrong size."""
    return [
        file
        for file in PUBLISHED[name].files
        if not (folder / file.name).is_file() or (folder / file.name).stat().st_size != file.size
    ]
