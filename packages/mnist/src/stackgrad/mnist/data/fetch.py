"""Fetch the files of a data set and check them. An interrupted fetch continues where it stopped."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from .. import __version__
from ..errors import FailureError
from .idx import IdxError
from .published import PUBLISHED, File

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 2**16


class FetchError(FailureError):
    """A file could not be fetched from any mirror. The message is one line with the reason for each."""


def check(path: Path, file: File) -> None:
    """Raise IdxError if a file is not the published one."""
    try:
        with open(path, "rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise IdxError(f"{path}: {error.strerror or error}") from error
    if found != file.sha256:
        raise IdxError(f"{path}: not the published file: its SHA-256 is {found}, expected {file.sha256}")


def fetch(
    name: str, folder: Path, mirrors: Sequence[str] = (), on_bytes: Callable[[int], object] = lambda count: None
) -> None:
    """Fetch the files of a data set into a folder. Files that are already there and correct are kept.

    Args:
        name: one of `PUBLISHED`.
        folder: made if missing.
        mirrors: addresses of folders, tried in this order; by default those of the data set.
        on_bytes: called with the count of new bytes, negative if bytes are discarded.

    Raises:
        FetchError: no mirror has the correct file, or another process is fetching into this folder.
        OSError: the folder cannot be written. The bytes so far are kept, and the next call continues from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            for file in PUBLISHED[name].files:
                _fetch_file(file, folder, mirrors or PUBLISHED[name].mirrors, on_bytes)
    except Timeout as error:
        raise FetchError(f"{folder}: another process is fetching there") from error


def _fetch_file(file: File, folder: Path, mirrors: Sequence[str], on_bytes: Callable[[int], object]) -> None:
    path = folder / file.name
    if path.is_file():
        try:
            check(path, file)
        except IdxError:
            path.unlink()
        else:
            on_bytes(file.size)
            return
    partial = path.with_name(f"{file.name}.partial")
    reasons = []
    for mirror in mirrors:
        url = mirror.rstrip("/") + "/" + file.name
        try:
            if _download(url, partial, file, on_bytes):
                _keep(partial, path)
                return
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reasons.append(f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}")
        else:
            reasons.append(f"{url}: not the published file (its SHA-256 differs)")
    raise FetchError("; ".join(reasons))


def _download(url: str, partial: Path, file: File, on_bytes: Callable[[int], object]) -> bool:
    """Fetch the rest of `partial`. Returns whether the file is correct. If not, removes it, and if it had been resumed,
    fetches it again from the start."""
    had = partial.stat().st_size if partial.is_file() else 0
    if had > file.size:
        had = 0
    if had < file.size:
        headers = {"User-Agent": f"stackgrad-mnist/{__version__}", "Accept-Encoding": "identity"}
        if had:
            headers["Range"] = f"bytes={had}-"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
            if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
                had = 0  # the server sends the whole file
            count = had
            on_bytes(had)
            with open(partial, "ab" if had else "wb") as out:
                while count <= file.size and (chunk := response.read(_CHUNK)):
                    _write(out, chunk)
                    count += len(chunk)
                    on_bytes(len(chunk))
        if count < file.size:
            on_bytes(-count)
            raise ConnectionError(f"ended after {count:,} of {file.size:,} bytes")
    else:
        count = had
        on_bytes(had)
    try:
        check(partial, file)
    except IdxError:
        partial.unlink()
        on_bytes(-count)
        return _download(url, partial, file, on_bytes) if had else False
    return True


def _write(out: BinaryIO, chunk: bytes) -> None:
    try:
        out.write(chunk)
        out.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, out.name) from error


def _keep(partial: Path, path: Path) -> None:
    """Rename the complete file, once it is on the disk."""
    with open(partial, "r+b") as content:
        os.fsync(content.fileno())
    os.replace(partial, path)
