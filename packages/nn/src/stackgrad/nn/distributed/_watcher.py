"""The process that watches the ranks of one machine: `_watch` starts it, by its path, and it imports nothing of ours.

A process of its own, since one that is stopped, or holds the interpreter's lock, cannot watch itself. Each rank is
connected to it by a socket. Through it come the rank's farewell, and where its main thread is when it is asked to tell;
and the system closes it however the process ends. The first that closes without a farewell is that of the rank which
failed: the launcher ends the others because of it, so theirs close later, and a selector tells in order. Ranks that
have not come yet are found as processes that the same launcher has started. Those that have said farewell are watched
until they have ended: the launcher waits for one that is stopped on its way out.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

TELL = signal.SIGURG  # has a rank write its stack; a process that does not know it ignores it
RANKS = (
    b"PMI_RANK",
    b"PMIX_RANK",
    b"OMPI_COMM_WORLD_RANK",
    b"SLURM_PROCID",
)  # as launchers name it
FAREWELL = b"farewell\n"
REASON = b"reason\n"  # in place of it, from a rank which has said itself why it ends the job
MET = b"met\n"  # all ranks have come
FAR = b"far\n"  # some of them on other machines
_TICK = 0.25  # seconds between two looks at the ranks
_BUSY = 2  # hundredths of a second of work in a tick: whoever works as much is not waiting
_ANSWER = 1.0  # seconds for an answer: more than a process needs that runs at all
_LAUNCHER = 2.0  # seconds in which a launcher ends the other ranks


def address(launcher: int) -> str:
    """Where the process listens that watches what this launcher has started."""
    return f"\0stackgrad-{os.getuid()}-{launcher}"


@dataclass
class _Rank:
    """A rank as it is seen from here.

    Attributes:
        come: whether it is connected; one that is not may wait for anything, but not be stopped.
        left: whether it has said farewell; it may then do whatever it likes, but not be stopped.
        far: whether there are ranks on other machines, too.
        heard: what came out of its pipe since it was asked last.
        work: the processor time that it has used, in ticks of the system.
        idle, stopped, asked: for how many seconds it has done nothing, been stopped, not answered.
    """

    pid: int
    come: bool = False
    left: bool = False
    far: bool = False
    heard: bytes = b""
    work: int = 0
    idle: float = 0.0
    stopped: float = 0.0
    asked: float | None = None
    number: str = "?"

    def __post_init__(self) -> None:
        self.name()

    def name(self) -> None:
        """Find its number: not in a process that the launcher has only just made of itself."""
        with suppress(OSError):
            variables = Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0")
            found = dict(variable.partition(b"=")[::2] for variable in variables)
            self.number = next((found[name].decode() for name in RANKS if name in found), self.number)

    def fault(self, seconds: float, limit: float) -> str | None:
        """What is wrong with it, once it has been so for longer than the limit. Linux alone tells."""
        state, work = _state(self.pid)
        gained, self.work = work - self.work, work
        self.stopped = self.stopped + seconds if state in "Tt" else 0.0
        if self.stopped > limit:
            return f"was stopped {limit:g} s ago, by SIGSTOP or a debugger"
        if not self.come or self.left or state in "?Tt" or gained >= _BUSY or _wants_to_run(self.pid):
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
        frames = [frame for frame in frames if not frame[0].startswith(b"<")]
        if frames and b"/nn/distributed/" in frames[0][0]:
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
        if not self.come:
            return "was killed, or ended before all ranks had come"
        crash = re.search(rb"Fatal Python error: (.*)", self.heard)
        if not crash:
            other = ", or was ended by the launcher for what another machine's rank did" if self.far else ""
            return f"was killed, as where memory runs out, or ended without a word{other}"
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


def listen(launcher: int) -> socket.socket | None:
    """Where ranks that this launcher has started connect; None where another process listens there."""
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(address(launcher))
    except OSError:
        server.close()
        return None
    server.listen(1024)
    return server


def watch(server: socket.socket, launcher: int, limit: float) -> None:
    """Return when all ranks have said farewell and ended, or when one has failed, which is said, and all have ended.

    Args:
        server: see `listen`.
        launcher: the process that has started the ranks.
        limit: the seconds without progress, 0 for any.
    """
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    ranks: dict[int, _Rank] = {}
    met, last = False, time.monotonic()
    while True:
        launched = Path(f"/proc/{launcher}").exists()  # asked before the events, which tell if its ranks ended first
        if not met:
            for pid in _started_by(launcher) - ranks.keys():
                ranks[pid] = _Rank(pid)
                with suppress(OSError):
                    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, ranks[pid])
            for unnamed in ranks.values():
                if unnamed.number == "?":
                    unnamed.name()
        events = selector.select(_TICK)
        if not events and not launched:
            break
        for key, _ in events:  # in the order of what happened
            if key.fileobj is server:
                connection, _ = server.accept()
                pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if user == os.getuid():
                    ranks[pid] = _Rank(pid, True)
                    selector.register(connection, selectors.EVENT_READ, ranks[pid])
                continue
            rank: _Rank = key.data
            if ranks.get(rank.pid) is not rank:  # it has come meanwhile, or it was one that has said farewell
                selector.unregister(key.fileobj)
                continue
            came = os.read(key.fd, 2**16) if rank.come else b""
            rank.heard += came
            rank.left = rank.heard.endswith(FAREWELL)
            met, rank.far = met or MET in came, rank.far or FAR in came
            if rank.heard.endswith(REASON):
                _end_all(ranks)
                return
            if not came:
                del ranks[rank.pid]
                selector.unregister(key.fileobj)
                if not rank.left:
                    _say(rank, rank.end())
                    _end_all(ranks)
                    return
                if not ranks:
                    return
        now = time.monotonic()
        seconds, last = min(now - last, 2 * _TICK), now  # this process may have been stopped itself
        for rank in ranks.values() if limit else ():
            if why := rank.fault(seconds, limit):
                _say(rank, why)
                with suppress(OSError):
                    os.kill(rank.pid, signal.SIGKILL)
                _end_all(ranks)
                return
    with suppress(OSError):
        os.write(2, f"Error: the launcher (process {launcher} on {socket.gethostname()}) was killed\n".encode())
    _end_all(ranks)


def _started_by(launcher: int) -> set[int]:
    """The processes that a process has started."""
    with suppress(OSError):
        children = Path(f"/proc/{launcher}/task").glob("*/children")
        return {int(pid) for file in children for pid in file.read_text().split()}
    return set()


def _say(rank: _Rank, why: str) -> None:
    """Which rank has failed. Before it is ended: what it was started with is read no more afterwards."""
    line = f"Error: rank {rank.number} (process {rank.pid} on {socket.gethostname()}) {why}\n"
    with suppress(OSError):
        os.write(2, line.encode())


def _end_all(ranks: dict[int, _Rank]) -> None:
    """See to it that these ranks end: the launcher does that where one has ended before its time."""
    until = time.monotonic() + _LAUNCHER
    while any(_state(pid)[0] not in "?ZX" for pid in ranks):
        if time.monotonic() > until:
            for pid in ranks:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def main() -> None:
    """Watch in a process that has no parent, so that no rank has to wait for it."""
    launcher, limit = int(sys.argv[1]), float(sys.argv[2])
    server = listen(launcher)
    if server and os.fork() == 0:
        watch(server, launcher, limit)


if __name__ == "__main__":
    main()
