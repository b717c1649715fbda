"""Machine code on disk: whatever is wrong with a file or its folder, the work is done and the file rewritten."""

import errno
import os
import pickle
import shutil
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.kernels import _cache_files
from stackgrad.kernels.cpu import _kernel
from stackgrad.kernels.cpu._kernel import Kernel
from stackgrad.kernels.cpu._pointers import Memory, load, store


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache's folder, which does not exist yet; no warning has been given."""
    _kernel._team()  # it has machine code of its own
    folder = tmp_path / "cache" / "kernels"
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: folder)
    monkeypatch.setattr(_cache_files, "_warned", False)
    _cache_files._remove_abandoned.cache_clear()
    return folder


def double(chunk, x, out):
    store(out, chunk, 2 * load(x, chunk))


def run():
    """Run the kernel as a new process would; return whether it was found on disk, and the warnings."""
    kernel = Kernel(double, lambda T: (Memory(T), Memory(T)))
    x = np.arange(5.0)
    out = np.empty_like(x)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        kernel[x.dtype](x.size, 0, (x, out))
    assert out.tolist() == [0, 2, 4, 6, 8]
    return kernel.cache_hits == 1, [str(warning.message) for warning in warned]


class Ran:
    """A pickle that runs code when it is loaded."""

    def __reduce__(self):
        return os.mkdir, (self.path,)

    def __init__(self, path):
        self.path = str(path)


FOUND, MADE = (True, []), (False, [])

# How to damage the file of a kernel, and, if it cannot be replaced, the end of the only warning.
DAMAGES = {
    "removed": (lambda path: path.unlink(), None),
    "empty": (lambda path: path.write_bytes(b""), None),
    "truncated in the digest": (lambda path: os.truncate(path, 20), None),
    "truncated after the digest": (lambda path: os.truncate(path, 32), None),
    "truncated at the end": (lambda path: os.truncate(path, path.stat().st_size - 1), None),
    "longer": (lambda path: path.write_bytes(path.read_bytes() + b"\0"), None),
    "zeros": (lambda path: path.write_bytes(bytes(path.stat().st_size)), None),
    "other machine code": (lambda path: path.write_bytes(path.read_bytes().replace(b"\x48", b"\xcc")), None),
    "a pickle that runs": (lambda path: path.write_bytes(pickle.dumps(Ran(path.with_name("ran")))), None),
    "text": (lambda path: path.write_text("<html>404</html>"), None),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), None),
    "a folder with something in it": (lambda path: (path.unlink(), (path / "x").mkdir(parents=True)), "not empty"),
    "a link to nothing": (lambda path: (path.unlink(), path.symlink_to("nothing")), None),
    "a link to itself": (lambda path: (path.unlink(), path.symlink_to(path)), None),
    "a link to a folder": (lambda path: (path.unlink(), path.symlink_to("/")), None),
    "endless": (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), None),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), None),
    "unreadable": (lambda path: path.chmod(0), None),
    "without its folder": (lambda path: shutil.rmtree(path.parents[1]), None),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, links and permissions of a POSIX system")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_rewritten(damage, folder):
    assert (run(), run()) == (MADE, FOUND)
    (path,) = folder.iterdir()
    do, reason = DAMAGES[damage]
    do(path)
    found, warned = run()
    # A user who may read all files can read it.
    assert not found or (damage == "unreadable" and os.geteuid() == 0)
    assert not (folder / "ran").exists()
    assert not list(folder.glob("*.tmp"))
    if reason is None:
        assert warned == []
        assert run() == FOUND
    else:
        (message,) = warned
        assert message.startswith(f"kernels are compiled again in each process: cannot write to {folder} (")
        assert reason in message
        assert message.endswith("; set STACKGRAD_CACHE_DIR to a writable folder")
        assert run() == MADE  # only one warning


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=8), st.data())
def test_damage_anywhere_is_noticed(content, other, data):
    with pytest.MonkeyPatch.context() as patch:
        stored = {}
        patch.setattr(Path, "write_bytes", lambda path, blob: stored.update(blob=blob))
        patch.setattr(Path, "replace", lambda *_: None)
        patch.setattr(Path, "mkdir", lambda *_, **__: None)
        patch.setattr(_cache_files, "cache_folder", lambda: Path("nowhere"))
        _cache_files.store("name", "key", content)
    blob, digest = stored["blob"], _cache_files._DIGEST_BYTES
    assert blob[:digest] == _cache_files._digest("key", blob[digest:])
    at = data.draw(st.integers(0, len(blob) - 1))
    for damaged in (
        blob[:at],
        blob[:at] + other + blob[at + len(other) :],
        blob[:at] + other + blob[at:],
        blob + other,
    ):
        assert damaged == blob or damaged[:digest] != _cache_files._digest("key", damaged[digest:])
    assert blob[:digest] != _cache_files._digest("another key", blob[digest:])


def test_a_file_under_the_name_of_another(folder):
    _cache_files.store("name", "one", b"of one")
    (one,) = folder.iterdir()
    _cache_files.store("name", "two", b"of two")
    (two,) = set(folder.iterdir()) - {one}
    two.write_bytes(one.read_bytes())
    assert _cache_files.load("name", "one") == b"of one"
    assert _cache_files.load("name", "two") is None


def test_names_that_are_invalid_for_files(folder):
    for name in ("<lambda>", "a/b", "..", "x" * 1000, "", "nul\0", "ü"):
        _cache_files.store(name, "key", name.encode())
        assert _cache_files.load(name, "key") == name.encode()


def cannot_write(*_, **__):
    raise OSError(errno.EROFS, "Read-only file system")


def half_written(path, blob):
    with path.open("wb") as file:
        file.write(blob[: len(blob) // 2])
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("method", "failure", "reason"),
    [
        ("write_bytes", half_written, "No space left on device"),
        ("write_bytes", cannot_write, "Read-only file system"),
        ("replace", cannot_write, "Read-only file system"),
        ("mkdir", cannot_write, "Read-only file system"),
    ],
)
def test_a_disk_that_cannot_be_written(method, failure, reason, folder, monkeypatch):
    monkeypatch.setattr(Path, method, failure)
    found, (message,) = run()
    assert not found
    assert f"cannot write to {folder} ({reason})" in message
    assert run() == MADE  # only one warning
    assert not folder.exists() or not list(folder.iterdir())


def test_the_warning_is_one_line(folder, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", cannot_write)
    with pytest.warns(RuntimeWarning, match="compiled again") as warned:
        _cache_files.store("name", "key", b"content")
    _cache_files.store("name", "key", b"content")
    (one,) = warned
    assert warnings.formatwarning(one.message, one.category, one.filename, one.lineno).count("\n") == 1


def test_a_limit_on_the_size_of_files(folder):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        _, warned = run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(warned) == 1
    assert list(folder.iterdir()) == []
    assert (run(), run()) == (MADE, FOUND)


def test_a_read_only_folder_can_be_used(folder, monkeypatch):
    assert run() == MADE
    for method in ("write_bytes", "replace", "mkdir", "unlink"):
        monkeypatch.setattr(Path, method, cannot_write)
    assert run() == FOUND


@pytest.mark.parametrize("blocked", ["cache", "cache/kernels"])
@pytest.mark.parametrize("by", ["a file", "a link to nothing"])
def test_something_else_in_place_of_the_folder(blocked, by, folder, tmp_path):
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.touch() if by == "a file" else path.symlink_to(tmp_path / "no" / "where")
    found, warned = run()
    assert (found, len(warned)) == (False, 1)
    assert run() == MADE
    assert path.is_symlink() or path.is_file()


def test_files_of_a_killed_process_are_removed(folder):
    folder.mkdir(parents=True)
    old, new, other = folder / "a.bin.1.tmp", folder / "a.bin.2.tmp", folder / "a.bin"
    for path in (old, new, other):
        path.touch()
    hours_ago = time.time() - 7200
    for path in (old, other):
        os.utime(path, (hours_ago, hours_ago))
    _cache_files.store("name", "key", b"content")
    assert not old.exists()
    assert new.exists()
    assert other.exists()


def test_threads_write_and_read_the_same_file(folder):
    found, contents = set(), [bytes([i]) * 10_000 * i for i in range(1, 5)]

    def work(content):
        for _ in range(50):
            _cache_files.store("name", "key", content)
            found.add(_cache_files.load("name", "key"))

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found <= set(contents)
    assert len(list(folder.iterdir())) == 1


# --- where the folder is


@pytest.fixture
def found_folder(monkeypatch):
    monkeypatch.setattr(_cache_files, "_warned", False)
    return _cache_files.cache_folder.__wrapped__


def test_the_folder_is_named_by_the_sources(tmp_path, monkeypatch, found_folder):
    monkeypatch.setenv("STACKGRAD_CACHE_DIR", str(tmp_path))
    before = found_folder()
    assert before.parent == tmp_path
    monkeypatch.setattr(_cache_files, "package_digest", lambda: "another" * 10)
    after = found_folder()
    assert after.parent == tmp_path
    assert after != before


def test_the_default_is_the_cache_folder_of_the_user(monkeypatch, tmp_path, found_folder):
    monkeypatch.delenv("STACKGRAD_CACHE_DIR", raising=False)
    monkeypatch.setattr(_cache_files.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    assert found_folder().parent == tmp_path / "stackgrad"


@pytest.mark.parametrize(("given", "under"), [("~/kernels", "home/kernels"), ("kernels", "here/kernels")])
def test_home_and_relative_folders(given, under, monkeypatch, tmp_path, found_folder):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("STACKGRAD_CACHE_DIR", given)
    assert found_folder().parent == tmp_path / under


@pytest.mark.skipif(os.name == "nt", reason="the working folder cannot be removed")
def test_without_a_working_folder(monkeypatch, tmp_path, found_folder):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setenv("STACKGRAD_CACHE_DIR", "kernels")
    gone.rmdir()
    with pytest.warns(RuntimeWarning, match=r"compiled again in each process: .*No such file.*STACKGRAD_CACHE_DIR"):
        assert found_folder() is None


def test_without_a_home(monkeypatch, found_folder):
    monkeypatch.delenv("STACKGRAD_CACHE_DIR", raising=False)
    monkeypatch.setattr(_cache_files.platformdirs, "user_cache_dir", lambda name: f"~nobody-of-that-name/{name}")
    with pytest.warns(RuntimeWarning, match=r"home directory.*STACKGRAD_CACHE_DIR"):
        assert found_folder() is None


def test_without_sources(monkeypatch, tmp_path, found_folder):
    monkeypatch.setattr(_cache_files, "__file__", str(tmp_path / "_cache_files.py"))
    monkeypatch.setattr(_cache_files, "package_digest", _cache_files.package_digest.__wrapped__)
    with pytest.warns(RuntimeWarning, match="no sources in "):
        assert found_folder() is None


def test_without_a_folder_everything_is_compiled(monkeypatch):
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: None)
    assert (run(), run()) == (MADE, MADE)


def test_any_change_of_a_source_changes_the_digest(tmp_path, monkeypatch):
    package = Path(_cache_files.__file__).parent
    copied = tmp_path / "kernels"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(_cache_files, "__file__", str(copied / "_cache_files.py"))
    digest = _cache_files.package_digest.__wrapped__
    assert digest() == _cache_files.package_digest()
    (copied / ".#_kernel.py").symlink_to("an editor's lock")
    assert digest() == _cache_files.package_digest()
    with (copied / "cpu" / "_parallel.py").open("a") as file:
        file.write("# \n")
    changed = digest()
    assert changed != _cache_files.package_digest()
    (copied / "cpu" / "_parallel.py").rename(copied / "cpu" / "_other.py")
    assert digest() not in (changed, _cache_files.package_digest())
