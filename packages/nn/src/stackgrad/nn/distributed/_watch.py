"""Ends the whole job when one rank fails, and reports which rank failed and why."""

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

_ALIKE = 3.0  # seconds within which all ranks must fail to count as one failure
_STARTS = 10.0  # seconds for a watcher to start


class _Watch:
    """The connection of this rank to the process that watches the ranks of its machine.

    Args:
        seconds: see `watch`.
    """

    def __init__(self, seconds: float) -> None:
        self.pipe: socket.socket | None = None
        if sys.platform == "linux":
            from . import _watcher

            self.pipe = _connect(os.getppid(), seconds)
            self._crashes_told = faulthandler.is_enabled()  # by the user, who keeps them
            if not self._crashes_told:
                faulthandler.enable(self.pipe)
            faulthandler.register(_watcher.TELL, self.pipe, all_threads=False)
        try:
            self.size = world().size
        except BaseException:
            self.tell(b"farewell\n")
            raise
        if self.size > 1:
            self.comm = world().comm.Dup()  # for failing ranks, so that they do not disturb the others
            self.tell(b"met\n" if world().local_size == self.size else b"met\nfar\n")

    def tell(self, words: bytes) -> None:
        """Send a message to the watcher, if it still exists."""
        if self.pipe:
            with suppress(OSError):
                self.pipe.send(words)

    def all_fail(self, why: str) -> bool:
        """Whether all ranks fail for this reason. Each failing rank calls it."""
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
        """Report why this rank ends the job, and end it."""
        here = world()
        which = f"rank {here.rank} (process {os.getpid()} on {socket.gethostname()})"
        sys.stderr.write(f"Error: {which}: {why.removeprefix('Error: ')}\n")
        sys.stderr.flush()
        self.tell(b"reason\n")
        here.comm.Abort(status)

    def meet(self) -> None:
        """Wait until all ranks are at the end. Raises DisagreementError if one calls another function instead."""
        if self.size > 1:
            call = Call("the end of watch")
            call.start()
            while not call.is_there():
                time.sleep(0.01)  # leave the cores to ranks that still work

    def leave(self) -> None:
        """Send the farewell once all ranks are here. The pipe stays open until the process ends or hangs."""
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
    """Connect to the process that watches the ranks of a launcher; start it if there is none."""
    from . import _watcher

    pipe, until = socket.socket(socket.AF_UNIX), time.monotonic() + _STARTS
    while True:
        try:
            pipe.connect(_watcher.address(launcher))
            return pipe
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
        # Its own session keeps the launcher from ending it before it has reported. The command returns at once.
        command = [sys.executable, "-I", "-S", _watcher.__file__, str(launcher), str(seconds)]
        subprocess.run(command, stdin=subprocess.DEVNULL, start_new_session=True, check=True)


_current: _Watch | None = None


@contextmanager
def watch(seconds: float = 6.0) -> Iterator[None]:
    """A context in which the whole job ends if one rank fails, and standard error reports which and why.

    A rank fails if it raises, crashes, is killed or is stopped, or if it does nothing for `seconds` without waiting for
    other ranks, such as when a disk is full or gone. A rank that computes, compiles or waits for a processor does not
    fail. On each machine a process watches the ranks from outside, which costs them no time. With one rank it does
    nothing.

    All ranks must enter the context before any other call of this package, and leave it last. If one leaves while
    others call a function of this package, all raise DisagreementError.

    Args:
        seconds: how long a rank may do nothing or be stopped; 0 for no limit. Works only on Linux.

    Raises:
        OSError: the watching process cannot be started.
        RuntimeError: the program is already within such a context.
    """
    global _current
    if not launched():
        yield
        return
    if _current:
        raise RuntimeError("watch: the program is already watched: enter it once, around everything to watch")
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
    """Report on standard error why the program cannot continue, before it ends with that exit status.

    Within `watch`, if all ranks end for the same reason within three seconds, rank 0 reports it for all. If only this
    rank does, it reports its rank and ends the job.

    Args:
        why: the reason, one line.
        status: the exit status, not 0.
    """
    if _current and not _current.all_fail(why):
        _current.abort(why, status)
    if world().is_first or not _current:
        sys.stderr.write(f"{why}\n")
        sys.stderr.flush()
