"""Read files in MNIST's format, IDX, as NumPy arrays.

The page of the data set, http://yann.lecun.com/exdb/mnist/, describes the format: two zero bytes, the element type, the
count of dimensions, each extent as a big-endian 32-bit integer, then the elements in C order.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import MistakeError

UInt8Array: TypeAlias = npt.NDArray[np.uint8]

_MAX_BYTES = 768 * 2**20  # larger files are refused; EMNIST's largest has 522 MiB
_DEFLATE_RATIO = 1032  # the highest compression ratio of deflate
_CHUNK = 2**20
_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_ELEMENT_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_CONTENTS = {1: "labels", 3: "images"}


class IdxError(MistakeError):
    """A data set cannot be used. The message is one line that names the file and the problem."""


def read_idx(path: Path, dimensions: int | None = None) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, and decompress it if its name ends in `.gz`.

    Args:
        path: the file.
        dimensions: 1 for labels, 3 for images; None for either.

    Returns:
        A uint8 array with the shape in the header.

    Raises:
        IdxError: the file cannot be read, is not an IDX file of unsigned bytes with these dimensions, or its length
            differs from the header. A file whose header promises more than 768 MiB is refused, and no more than that
            promise is ever decompressed.
    """
    path = Path(path)
    with opened(path) as file:
        shape = _read_header(file, path, dimensions)
        size = math.prod(shape)
        stored = path.stat().st_size
        promise = f"the header promises {extents(shape)} bytes"
        if math.prod(max(1, extent) for extent in shape) > _MAX_BYTES:
            raise IdxError(f"{path}: {promise}, but at most {_MAX_BYTES:,} are accepted")
        if size > stored * (_DEFLATE_RATIO if path.suffix == ".gz" else 1):
            raise IdxError(f"{path}: truncated: {promise}, but the file has only {stored:,}")
        array = np.empty(shape, np.uint8)
        view = array.reshape(-1).data
        filled = 0
        while filled < size:
            count = file.readinto(view[filled : filled + _CHUNK])
            if not count:
                raise IdxError(f"{path}: truncated: {promise}, but only {filled:,} follow")
            filled += count
        if file.read(1):  # reading to the end also makes gzip check its checksum
            raise IdxError(f"{path}: oversized: {promise}, but more follow")
    return array


def _read_header(file: BufferedIOBase, path: Path, dimensions: int | None) -> tuple[int, ...]:
    magic = file.read(4)
    if not magic:
        raise IdxError(f"{path}: the file is empty")
    if len(magic) < 4:
        raise IdxError(f"{path}: truncated: the file ends within its header")
    if magic[:2] != b"\0\0" or magic[2] not in _ELEMENT_TYPES:
        raise IdxError(f"{path}: not an IDX file: it starts with the bytes {magic.hex(' ')}, expected 00 00 08")
    if magic[2] != _UNSIGNED_BYTE:
        raise IdxError(
            f"{path}: the elements are {_ELEMENT_TYPES[magic[2]]} (type {magic[2]:02x}), expected uint8 (08)"
        )
    ndim = magic[3]
    if ndim not in (_CONTENTS if dimensions is None else (dimensions,)):
        found = f"{ndim} dimension{'s' * (ndim != 1)}" + (f" ({_CONTENTS[ndim]})" if ndim in _CONTENTS else "")
        expected = "1 (labels) or 3 (images)" if dimensions is None else f"{dimensions} ({_CONTENTS[dimensions]})"
        raise IdxError(f"{path}: the array has {found}, expected {expected}")
    extents = file.read(4 * ndim)
    if len(extents) < 4 * ndim:
        raise IdxError(f"{path}: truncated: the file ends within its header")
    return struct.unpack(f">{ndim}I", extents)


@contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """Open a file, and decompress it if its name ends in `.gz`. Every error while reading becomes an `IdxError`."""
    named_gzip = path.suffix == ".gz"
    try:
        with open(path, "rb") as raw:
            start = raw.read(2)
            raw.seek(0)
            if start == _GZIP_MAGIC and not named_gzip:
                raise IdxError(f"{path}: gzip-compressed, but not named .gz: add .gz to its name")
            if start and start != _GZIP_MAGIC and named_gzip:
                raise IdxError(f"{path}: named .gz, but not gzip-compressed: it starts with the bytes {start.hex(' ')}")
            yield gzip.GzipFile(fileobj=raw, mode="rb") if named_gzip else raw
    except EOFError as error:
        raise IdxError(f"{path}: truncated: the gzip data ends early") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise IdxError(f"{path}: damaged gzip data: {error}") from error
    except OSError as error:
        raise IdxError(f"{path}: {error.strerror or error}") from error


def extents(shape: tuple[int, ...]) -> str:
    """ "50x28x28 = 39,200"."""
    return "x".join(map(str, shape)) + (f" = {math.prod(shape):,}" if len(shape) > 1 else "")
