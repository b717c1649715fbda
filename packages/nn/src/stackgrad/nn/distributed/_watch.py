"""A job ends as a whole, and says which rank failed and why, whatever happens to one of its ranks."""

from __future__ import annotations

import faulthandler
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256

import numpy as np

from ._call import Call
from ._world import launched, world

_ALIKE = 3.0  # seconds within which ranks that fail for the same reason all do
_STARTS = 10.0  # seconds for a watcher to start


class _Watch:
    """This rank, as it is watched by a process beside the ranks of its machine.

    Args:
        seconds: see `watch`.
    """

    def __init__(self, seconds: float) -> None:
        self.pipe: socket.socket | None = None
        if sys.platform == "linux":
            from . import _watcher

            self.pipe = _connect(os.getppid(), seconds)
            self._crashes_told = faulthandler.is_enabled()  # by another: it keeps them
            if not self._crashes_told:
                faulthandler.enable(self.pipe)
            faulthandler.register(_watcher.TELL, self.pipe, all_threads=False)
        try:
            self.size = world().size
        except BaseException:
            self.tell(b"farewell\n")
            raise
        if self.size > 1:
            self.comm = world().comm.Dup()  # for ranks that fail: on any other they would disturb those that go on
            self.tell(b"met\n" if world().local_size == self.size else b"met\nfar\n")

    def tell(self, words: bytes) -> None:
        """Tell the watcher something; nothing where there is none any more."""
        if self.pipe:
            with suppress(OSError):
                self.pipe.send(words)

    def all_fail(self, why: str) -> bool:
        """Whether all ranks fail for this reason: called by each that fails."""
        if self.size == 1:
            return True
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

    def meet(self) -> None:
        """Wait until all ranks are at the end. Raises DisagreementError where one calls something else instead."""
        if self.size > 1:
            call = Call("the end of watch")
            call.start()
            while not call.is_there():
                time.sleep(0.01)  # others may have work left, for all cores

    def leave(self) -> None:
        """Say farewell, once all ranks are here. The pipe stays open until the process has ended, or hangs."""
        request = self.comm.Ibarrier() if self.size > 1 else None
        while request and not request.Test():
            time.sleep(0.01)
        self.tell(b"farewell\n")
        if self.pipe:
            from . import _watcher

            faulthandler.unregister(_watcher.TELL)
            if not self._crashes_told:
                faulthandler.disable()
            self.pipe.detach()


def _connect(launcher: int, seconds: float) -> socket.socket:
    """The connection to the process that watches what a launcher has started. Starts it where there is none."""
    from . import _watcher

    pipe, until = socket.socket(socket.AF_UNIX), time.monotonic() + _STARTS
    while True:
        try:
            pipe.connect(_watcher.address(launcher))
            return pipe
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
        # In a session of its own: the launcher does not end it before it has said what it saw. It returns at once.
        command = [sys.executable, "-I", "-S", _watcher.__file__, str(launcher), str(seconds)]
        subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, check=True)


_current: _Watch | None = None


@contextmanager
def watch(seconds: float = 6.0) -> Iterator[None]:
    """Within this context the whole job ends where one rank fails, and standard error says which and why.

    A rank fails that raises, crashes, is killed or is stopped, or that does nothing for so many seconds while it does
    not wait for other ranks: it may be blocked by a disk that is full or gone. One that computes, or compiles, or would
    if other processes left it a processor, does not fail. A process on each machine watches its ranks from outside,
    which costs them no time. Nothing happens in a world of one.

    All ranks enter the context first of all, before they know of each other, and leave it last. Where one comes to its
    end while others call a function of this package, all raise DisagreementError.

    Args:
        seconds: how long a rank may do nothing, or be stopped; 0 for any time. Linux alone tells.

    Raises:
        OSError: the process that watches cannot be started.
        RuntimeError: this is within such a context already.
    """
    global _current
    if not launched():
        yield
        return
    if _current:
        raise RuntimeError("watch: this program is watched already: enter it once, around all that is to be watched")
    _current = _Watch(seconds)
    ended: SystemExit | None = None
    try:
        try:
            yield
        except SystemExit as error:
            if error.code:
                raise
            ended = error
        _current.meet()
    except BaseException as error:
        if not _current.all_fail(repr(error)):
            if not isinstance(error, SystemExit):
                traceback.print_exc()
            _current.abort(f"{type(error).__name__}: {error}", 1)
        raise
    finally:
        _current.leave()
        _current = None
    if ended:
        raise ended


def end(why: str, status: int) -> None:
    """Say on standard error why the program cannot go on, before it ends with that exit status.

    Within `watch`, where all ranks end for the same reason, within three seconds, rank 0 says it for all. Where this
    one alone does, it says so with its number, and ends the job.

    Args:
        why: one line.
        status: not 0.
    """
    if _current and not _current.all_fail(why):
        _current.abort(why, status)
    if world().is_first or not _current:
        sys.stderr.write(f"{why}\n")
        sys.stderr.flush()
