"""The process that watches the ranks of one machine: `_watch` starts it, by its path, and it imports nothing of ours.

A process of its own, since one that is stopped, or holds the interpreter's lock, cannot watch itself. Each rank has one
end of a pipe. Through it come the rank's process id, its farewell, and where its main thread is when it is asked to
tell; and the system closes it however the process ends. The first pipe that closes without a farewell is that of the
rank which failed: the launcher ends the others because of it, so theirs close later, and a selector tells in order.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TELL = signal.SIGURG  # has a rank write its stack; a process that does not know it ignores it
FAREWELL = b"farewell\n"
REASON = b"reason\n"  # in place of it, from a rank which has said itself why it ends the job
_TICK = 0.25  # seconds between two looks at the ranks
_BUSY = 2  # hundredths of a second of work in a tick: whoever works as much is not waiting
_ANSWER = 1.0  # seconds for an answer: more than a process needs that runs at all
_LAUNCHER = 2.0  # seconds in which a launcher ends the other ranks


@dataclass
class _Rank:
    """A rank as it is seen from here.

    Attributes:
        heard: what came out of its pipe since it was asked last.
        work: the processor time that it has used, in ticks of the system.
        idle, stopped, asked: for how many seconds it has done nothing, been stopped, not answered.
    """

    rank: int
    pid: int = 0
    heard: bytes = b""
    work: int = 0
    idle: float = 0.0
    stopped: float = 0.0
    asked: float | None = None

    def fault(self, seconds: float, limit: float) -> str | None:
        """What is wrong with it, once it has been so for longer than the limit. Linux alone tells."""
        state, work = _state(self.pid)
        gained, self.work = work - self.work, work
        self.stopped = self.stopped + seconds if state in "Tt" else 0.0
        if self.stopped > limit:
            return f"was stopped {limit:g} s ago, by SIGSTOP or a debugger"
        if state in "?Tt" or gained >= _BUSY or _wants_to_run(self.pid):
            self.idle, self.asked = 0.0, None
            return None
        self.idle += seconds
        if self.idle <= limit:
            return None
        if self.asked is None:
            self.asked, self.heard = 0.0, b""
            os.kill(self.pid, TELL)
            return None
        self.asked += seconds
        frames = re.findall(rb'File "(.*)", line (\d+) in (.*)', self.heard)
        if frames and b"/nn/distributed/" in frames[0][0].replace(b"\\", b"/"):
            self.idle, self.asked = 0.0, None  # it waits for other ranks
            return None
        if not frames and self.asked < _ANSWER:
            return None
        where = " < ".join(f"{Path(os.fsdecode(f)).name}:{n.decode()} ({name.decode()})" for f, n, name in frames[:3])
        if not where:
            where = "the system" + (", which waits for a disk" if state == "D" else "")
        return f"made no progress for {limit:g} s, in {where}"

    def end(self) -> str:
        """How it ended without a farewell."""
        crash = re.search(rb"Fatal Python error: (.*)", self.heard)
        if not crash:
            return "was killed, as where memory runs out, or ended without a word"
        frames = re.findall(rb'File "(.*)", line (\d+) in (.*)', self.heard)
        where = f", in {os.fsdecode(frames[0][0])} line {frames[0][1].decode()}" if frames else ""
        return f"crashed: {crash[1].decode(errors='replace')}{where}"


def _state(pid: int) -> tuple[str, int]:
    """What the main thread of a process is doing, as in `man 5 proc`, and the processor time of all; or "?"."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "?", 0
    return fields[0].decode(), int(fields[11]) + int(fields[12])


def _wants_to_run(pid: int) -> bool:
    """Whether a thread runs, or would if others left it a processor."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # it has just ended
            if stat.read_bytes().rpartition(b")")[2].split()[0] == b"R":
                return True
    return False


def watch(pipes: dict[int, int], limit: float) -> None:
    """Return when all ranks have said farewell, or when one has failed, which is then said, and all have ended.

    Args:
        pipes: the file descriptor of each rank.
        limit: the seconds without progress, 0 for any.
    """
    selector = selectors.DefaultSelector()
    ranks = [_Rank(rank) for rank in pipes]
    for rank in ranks:
        selector.register(pipes[rank.rank], selectors.EVENT_READ, rank)
    last = time.monotonic()
    while ranks:
        for key, _ in selector.select(_TICK):  # in the order of what happened
            rank = key.data
            came = os.read(key.fd, 2**16)
            rank.heard += came
            if not rank.pid and b"\n" in rank.heard:
                rank.pid = int(rank.heard.split(b"\n")[0])
            if rank.heard.endswith(REASON):
                return _end_all(ranks)
            if not came:
                selector.unregister(key.fd)
                ranks.remove(rank)
                if not rank.heard.endswith(FAREWELL):
                    _say(rank, rank.end())
                    return _end_all(ranks)
        now = time.monotonic()
        seconds, last = min(now - last, 2 * _TICK), now  # this process may have been stopped itself
        for rank in ranks if limit else ():
            if rank.pid and (why := rank.fault(seconds, limit)):
                _say(rank, why)
                os.kill(rank.pid, signal.SIGKILL)
                return _end_all(ranks)


def _say(rank: _Rank, why: str) -> None:
    with suppress(OSError):
        os.write(2, f"Error: rank {rank.rank} (process {rank.pid} on {socket.gethostname()}) {why}\n".encode())


def _end_all(ranks: list[_Rank]) -> None:
    """See to it that these ranks end: the launcher does that where one has ended before its time."""
    until = time.monotonic() + _LAUNCHER
    while any(_state(rank.pid)[0] not in "?ZX" for rank in ranks):
        if time.monotonic() > until:
            for rank in ranks:
                with suppress(OSError):
                    os.kill(rank.pid or os.getpid(), signal.SIGKILL)
            return
        time.sleep(0.05)


if __name__ == "__main__":
    _folder, _limit, *_ranks = sys.argv[1:]
    _pipes = {int(rank): os.open(Path(_folder, rank), os.O_RDONLY | os.O_NONBLOCK) for rank in _ranks}
    os.write(1, b"ready\n")
    os.close(1)
    watch(_pipes, float(_limit))
