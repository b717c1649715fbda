"""Fetching the files of a data set: checked, and going on where an earlier attempt ended."""

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
    """A file could not be fetched from any mirror; one line that says why from each."""


def check(path: Path, file: File) -> None:
    """Raise IdxError where a file is not the published one."""
    try:
        with open(path, "rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise IdxError(f"{path}: {error.strerror or error}") from error
    if found != file.sha256:
        raise IdxError(f"{path}: not the published file: its SHA-256 is {found}, expected {file.sha256}")


def fetch(
    name: str, folder: Path, mirrors: Sequence[str] = (), on_bytes: Callable[[int], None] = lambda count: None
) -> None:
    """Fetch the files of a data set into a folder. Files that are there and right are left as they are.

    Args:
        name: one of `PUBLISHED`.
        folder: is made if need be.
        mirrors: addresses of folders, tried in this order; those of the data set where there are none.
        on_bytes: called with how many bytes more there are, or fewer, where an attempt was in vain.

    Raises:
        FetchError: no mirror gave a file, or not the right one, or another process is fetching into this folder.
        OSError: the folder cannot be written. What had come is kept, and the next call goes on from there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            for file in PUBLISHED[name].files:
                _fetch_file(file, folder, mirrors or PUBLISHED[name].mirrors, on_bytes)
    except Timeout as error:
        raise FetchError(f"{folder}: another process is fetching there") from error


def _fetch_file(file: File, folder: Path, mirrors: Sequence[str], on_bytes: Callable[[int], None]) -> None:
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


def _download(url: str, partial: Path, file: File, on_bytes: Callable[[int], None]) -> bool:
    """Fetch what is missing of `partial`; whether the whole is right. What is wrong is removed and fetched anew."""
    had = partial.stat().st_size if partial.is_file() else 0
    if had > file.size:
        had = 0
    if had < file.size:
        headers = {"User-Agent": f"stackgrad-mnist/{__version__}", "Accept-Encoding": "identity"}
        if had:
            headers["Range"] = f"bytes={had}-"
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
            if response.status != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
                had = 0  # it sends the whole
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
    """Give the file its name once it is on the disk."""
    with open(partial, "r+b") as content:
        os.fsync(content.fileno())
    os.replace(partial, path)
