"""Files with compiled code for the CPU or a GPU. A change cannot make them stale, and a damaged file does no harm.

They are in the user's cache folder, or in STACKGRAD_CACHE_DIR. The key is a digest of all sources of this package and
of everything else that the code was made from, so any change causes a new compilation.

Nothing checks machine code once it is loaded. So each file begins with a digest of its key and content, and a file that
does not match is ignored: one that is missing, empty, truncated, garbled, written for another key, or not a regular
file counts as never written. The code is compiled again and the file replaced. If it cannot be replaced, a single
warning says so, and the work continues.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import warnings
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

import platformdirs

_DIGEST_BYTES = hashlib.sha256().digest_size
_LARGEST = 1 << 26  # bytes of a file; no kernel comes near
_ABANDONED = 3600  # seconds after which a temporary file belongs to a process that was killed


def load(name: str, key: str) -> bytes | None:
    """The content stored under that name and key; None if there is none or the file is damaged."""
    try:
        path = _path(name, key)
        if path is None or not path.is_file():  # reading from a pipe would block
            return None
        with path.open("rb") as file:
            stored = file.read(_LARGEST)
    except OSError:
        return None
    content = stored[_DIGEST_BYTES:]
    return content if stored[:_DIGEST_BYTES] == _digest(key, content) else None


def store(name: str, key: str, content: bytes) -> None:
    """Write the content whole or not at all: another process may read or write it at the same time.

    If it cannot be written, a RuntimeWarning says so, once per process.
    """
    path = _path(name, key)
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path.parent)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
        try:
            temporary.write_bytes(_digest(key, content) + content)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        _warn(f"cannot write to {path.parent} ({error.strerror or error})")


def _path(name: str, key: str) -> Path | None:
    folder = cache_folder()
    stem = re.sub(r"\W", "_", name, flags=re.ASCII)[:80]
    return folder and folder / f"{stem}-{_digest(key).hex()[:32]}.bin"


def _digest(key: str, content: bytes = b"") -> bytes:
    whole_key = f"{package_digest()} {key}".encode()
    return hashlib.sha256(len(whole_key).to_bytes(8, "little") + whole_key + content).digest()


@cache
def cache_folder() -> Path | None:
    """The folder for code made from exactly these sources; None, with a warning, if it cannot be determined."""
    try:
        root = Path(os.environ.get("STACKGRAD_CACHE_DIR") or platformdirs.user_cache_dir("stackgrad"))
        return root.expanduser().absolute() / f"kernels-{package_digest()[:16]}"
    except (OSError, RuntimeError) as error:  # no home, no working directory, or unreadable sources
        _warn(str(error))
        return None


@cache
def package_digest() -> str:
    """A digest of all sources of this package. Raises OSError if they cannot be read."""
    root = Path(__file__).parent
    sources = sorted(path for path in root.rglob("*.py") if path.is_file())
    if not sources:
        raise FileNotFoundError(f"no sources in {root}")
    digest = hashlib.sha256()
    for path in sources:
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


@cache
def _remove_abandoned(folder: Path) -> None:
    """Delete temporary files that killed processes left behind; once per process."""
    for temporary in folder.glob("*.tmp"):
        with suppress(OSError):
            if temporary.stat().st_mtime < time.time() - _ABANDONED:
                temporary.unlink()


def _warn(reason: str) -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn_explicit(
            f"kernels are compiled again in each process: {reason}; set STACKGRAD_CACHE_DIR to a writable folder",
            RuntimeWarning,
            __file__,
            0,  # no line: ours would not help the reader of the warning
            __name__,
        )


_warned = False
