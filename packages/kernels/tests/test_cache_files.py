"""Machine code on disk: whatever is wrong with a file or its folder, the work is done, and the file made again."""

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
    """The cache's own folder, empty and not made yet; nothing has been warned of."""
    _kernel._team()  # which has machine code of its own
    folder = tmp_path / "cache" / "kernels"
    monkeypatch.setattr(_cache_files, "cache_folder", lambda: folder)
    monkeypatch.setattr(_cache_files, "_warned", False)
    _cache_files._remove_abandoned.cache_clear()
    return folder


def double(chunk, x, out):
    store(out, chunk, 2 * load(x, chunk))


def run():
    """What a process does that comes to this kernel: whether it was found on disk, and what was warned of."""
    kernel = Kernel(double, lambda T: (Memory(T), Memory(T)))
    x = np.arange(5.0)
    out = np.empty_like(x)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        kernel[x.dtype](x.size, 0, (x, out))
    assert out.tolist() == [0, 2, 4, 6, 8]
    return kernel.cache_hits == 1, [str(warning.message) for warning in told]


class Ran:
    """What a pickle may hold: it runs what it likes."""

    def __reduce__(self):
        return os.mkdir, (self.path,)

    def __init__(self, path):
        self.path = str(path)


FOUND, MADE = (True, []), (False, [])

# What is done to the file of a kernel; where it cannot be replaced, what the only warning ends in.
DAMAGES = {
    "removed": (lambda path: path.unlink(), None),
    "empty": (lambda path: path.write_bytes(b""), None),
    "cut in the digest": (lambda path: os.truncate(path, 20), None),
    "cut behind the digest": (lambda path: os.truncate(path, 32), None),
    "cut at the end": (lambda path: os.truncate(path, path.stat().st_size - 1), None),
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
    "not to be read": (lambda path: path.chmod(0), None),
    "without its folder": (lambda path: shutil.rmtree(path.parents[1]), None),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes, links and permissions of a POSIX system")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_made_again(damage, folder):
    assert (run(), run()) == (MADE, FOUND)
    (path,) = folder.iterdir()
    do, reason = DAMAGES[damage]
    do(path)
    found, told = run()
    # Who may read all files does so.
    assert not found or (damage == "not to be read" and os.geteuid() == 0)
    assert not (folder / "ran").exists()
    assert not list(folder.glob("*.tmp"))
    if reason is None:
        assert told == []
        assert run() == FOUND
    else:
        (message,) = told
        assert message.startswith(f"kernels are compiled again in each process: cannot write to {folder} (")
        assert reason in message
        assert message.endswith("; set STACKGRAD_CACHE_DIR to a writable folder")
        assert run() == MADE  # told once


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


def test_a_file_under_another_s_name(folder):
    _cache_files.store("name", "one", b"of one")
    (one,) = folder.iterdir()
    _cache_files.store("name", "two", b"of two")
    (two,) = set(folder.iterdir()) - {one}
    two.write_bytes(one.read_bytes())
    assert _cache_files.load("name", "one") == b"of one"
    assert _cache_files.load("name", "two") is None


def test_names_that_no_file_can_have(folder):
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
def test_a_disk_that_takes_no_more(method, failure, reason, folder, monkeypatch):
    monkeypatch.setattr(Path, method, failure)
    found, (message,) = run()
    assert not found
    assert f"cannot write to {folder} ({reason})" in message
    assert run() == MADE  # told once
    assert not folder.exists() or not list(folder.iterdir())


def test_the_warning_is_a_line(folder, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", cannot_write)
    with pytest.warns(RuntimeWarning, match="compiled again") as told:
        _cache_files.store("name", "key", b"content")
    _cache_files.store("name", "key", b"content")
    (one,) = told
    assert warnings.formatwarning(one.message, one.category, one.filename, one.lineno).count("\n") == 1


def test_a_limit_on_the_size_of_files(folder):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        _, told = run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(told) == 1
    assert list(folder.iterdir()) == []
    assert (run(), run()) == (MADE, FOUND)


def test_a_folder_that_can_only_be_read_serves_what_it_has(folder, monkeypatch):
    assert run() == MADE
    for method in ("write_bytes", "replace", "mkdir", "unlink"):
        monkeypatch.setattr(Path, method, cannot_write)
    assert run() == FOUND


@pytest.mark.parametrize("blocked", ["cache", "cache/kernels"])
@pytest.mark.parametrize("by", ["a file", "a link to nothing"])
def test_something_else_where_the_folder_belongs(blocked, by, folder, tmp_path):
    path = tmp_path / blocked
    path.parent.mkdir(exist_ok=True)
    path.touch() if by == "a file" else path.symlink_to(tmp_path / "no" / "where")
    found, told = run()
    assert (found, len(told)) == (False, 1)
    assert run() == MADE
    assert path.is_symlink() or path.is_file()


def test_what_a_killed_process_left_is_removed(folder):
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


def test_many_write_and_read_the_same_file(folder):
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


def test_the_user_s_cache_folder_is_the_default(monkeypatch, tmp_path, found_folder):
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


def test_without_a_known_folder_all_is_compiled(monkeypatch):
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
