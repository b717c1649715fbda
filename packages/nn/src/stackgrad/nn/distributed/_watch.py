"""A job ends as a whole, and says which rank failed and why, whatever happens to one of its ranks."""

from __future__ import annotations

import faulthandler
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import numpy as np

from ._world import world

_ALIKE = 1.0  # seconds within which ranks that fail for the same reason all do
_GOES = 3.0  # seconds for a watcher to see the last farewell


class _Watch:
    """This rank, as it is watched by a process beside the ranks of its machine.

    Args:
        seconds: see `watch`.
    """

    def __init__(self, seconds: float) -> None:
        from mpi4py import MPI

        self.comm = world().comm.Dup()  # for ranks that fail: on any other they would disturb those that go on
        self.pipe, self.watcher = -1, None
        if sys.platform == "win32":
            return
        from . import _watcher

        machine = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        ranks = machine.allgather(world().rank)
        folder: str | OSError = ""
        if machine.rank == 0:
            try:
                folder = tempfile.mkdtemp(prefix="stackgrad-")
                self.watcher = _start(folder, seconds, ranks)
            except OSError as error:
                folder = error
        folder = machine.bcast(folder)
        if isinstance(folder, OSError):
            raise folder
        self.pipe = os.open(Path(folder, str(world().rank)), os.O_WRONLY)
        self.tell(f"{os.getpid()}\n".encode())
        machine.Barrier()
        machine.Free()
        if self.watcher:
            shutil.rmtree(folder)
        self._crashes_told = faulthandler.is_enabled()  # by another: it keeps them
        if not self._crashes_told:
            faulthandler.enable(self.pipe)
        faulthandler.register(_watcher.TELL, self.pipe, all_threads=False)

    def tell(self, words: bytes) -> None:
        """Tell the watcher something; nothing where there is none any more."""
        with suppress(OSError):
            os.write(self.pipe, words)

    def all_fail(self, why: str) -> bool:
        """Whether all ranks fail for this reason: called by each that fails."""
        mine = np.frombuffer(sha256(why.encode()).digest(), np.uint8)
        found = np.empty((self.comm.size, len(mine)), np.uint8)
        request, until = self.comm.Iallgather(mine, found), time.monotonic() + _ALIKE
        while not request.Test():
            if time.monotonic() > until:
                return False
            time.sleep(0.005)
        return bool((found == mine).all())

    def abort(self, why: str, status: int) -> None:
        """Say why this rank ends the job, and end it."""
        here = world()
        which = f"rank {here.rank} (process {os.getpid()} on {socket.gethostname()})"
        sys.stderr.write(f"Error: {which}: {why.removeprefix('Error: ')}\n")
        sys.stderr.flush()
        self.tell(b"reason\n")
        here.comm.Abort(status)

    def leave(self) -> None:
        """Say farewell, once all ranks are here."""
        request = self.comm.Ibarrier()
        while not request.Test():
            time.sleep(0.01)  # others may have work left, for all cores
        self.tell(b"farewell\n")
        if self.pipe < 0:
            return
        from . import _watcher

        faulthandler.unregister(_watcher.TELL)
        if not self._crashes_told:
            faulthandler.disable()
        os.close(self.pipe)
        if self.watcher:
            try:
                self.watcher.wait(_GOES)
            except subprocess.TimeoutExpired:  # it is stopped, perhaps
                self.watcher.kill()
                self.watcher.wait()


def _start(folder: str, seconds: float, ranks: list[int]) -> subprocess.Popen[bytes]:
    """Start the process that watches these ranks, by pipes in a folder."""
    from . import _watcher

    for rank in ranks:
        os.mkfifo(Path(folder, str(rank)))
    # In a session of its own: the launcher does not end it before it has said what it saw.
    arguments = [sys.executable, "-I", "-S", _watcher.__file__, folder, str(seconds), *map(str, ranks)]
    started = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    assert started.stdout
    with started.stdout as ready:
        if ready.readline() != b"ready\n":
            raise ChildProcessError(f"the process that watches the ranks did not start: {' '.join(arguments)}")
    return started


_current: _Watch | None = None


@contextmanager
def watch(seconds: float = 6.0) -> Iterator[None]:
    """Within this context the whole job ends where one rank fails, and standard error says which and why.

    A rank fails that raises, crashes, is killed or is stopped, or that does nothing for so many seconds while it does
    not wait for other ranks: it may be blocked by a disk that is full or gone. One that computes, or compiles, or would
    if other processes left it a processor, does not fail. A process on each machine watches its ranks from outside,
    which costs them no time. Nothing happens in a world of one.

    All ranks enter the context together, before all else, and leave it last.

    Args:
        seconds: how long a rank may do nothing, or be stopped; 0 for any time. Linux alone tells.

    Raises:
        OSError: the process that watches cannot be started.
        RuntimeError: this is within such a context already.
    """
    global _current
    if world().size == 1:
        yield
        return
    if _current:
        raise RuntimeError("watch: this program is watched already: enter it once, around all that is to be watched")
    _current = _Watch(seconds)
    try:
        yield
    except BaseException as error:
        if not (isinstance(error, SystemExit) and not error.code) and not _current.all_fail(repr(error)):
            if not isinstance(error, SystemExit):
                traceback.print_exc()
            _current.abort(f"{type(error).__name__}: {error}", 1)
        raise
    finally:
        _current.leave()
        _current = None


def end(why: str, status: int) -> None:
    """Say on standard error why the program cannot go on, before it ends with that exit status.

    Within `watch`, where all ranks end for the same reason, within a second, rank 0 says it for all. Where this one
    alone does, it says so with its number, and ends the job.

    Args:
        why: one line.
        status: not 0.
    """
    if _current and not _current.all_fail(why):
        _current.abort(why, status)
    if world().is_first or not _current:
        sys.stderr.write(f"{why}\n")
        sys.stderr.flush()
