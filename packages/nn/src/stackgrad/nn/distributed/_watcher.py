"""The process that watches the ranks of one machine. `_watch` starts it by its path; it does not import stackgrad.

It is a separate process, since one that is stopped or holds the interpreter's lock cannot watch itself. Each rank
connects to it by a socket, which carries the rank's farewell and, on request, the stack of its main thread. The system
closes the socket however the process ends. The first socket that closes without a farewell belongs to the rank that
failed: the launcher then ends the others, so theirs close later, and the selector reports events in order. Ranks that
have not connected yet are found as children of the launcher. Ranks that have said farewell are watched until they end,
because the launcher waits for one that is stopped on its way out.
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

TELL = signal.SIGURG  # makes a rank write its stack; other processes ignore it
RANKS = (
    b"PMI_RANK",
    b"PMIX_RANK",
    b"OMPI_COMM_WORLD_RANK",
    b"SLURM_PROCID",
)  # the names that launchers use
FAREWELL = b"farewell\n"
REASON = b"reason\n"  # instead, from a rank that has already reported why it ends the job
MET = b"met\n"  # all ranks are connected
FAR = b"far\n"  # some ranks are on other machines
_TICK = 0.25  # seconds between two checks of the ranks
_BUSY = 2  # hundredths of a second of work in a tick: a rank that works this much is not waiting
_ANSWER = 1.0  # seconds for an answer: more than a running process needs
_LAUNCHER = 2.0  # seconds for the launcher to end the other ranks


def address(launcher: int) -> str:
    """The socket address of the process that watches the ranks of this launcher."""
    return f"\0stackgrad-{os.getuid()}-{launcher}"


@dataclass
class _Rank:
    """The observed state of a rank.

    Attributes:
        come: whether it is connected; before that it may wait for anything, but must not be stopped.
        left: whether it has said farewell; after that it may do anything, but must not be stopped.
        far: whether there are also ranks on other machines.
        heard: the bytes from its socket since the last request.
        work: the processor time that it has used, in ticks of the system.
        idle, stopped, asked: the seconds for which it has done nothing, been stopped, not answered.
        ready: the seconds for which it has waited for a processor. A rank that only wakes now and then, as in a loop
            that sleeps, is seen ready once, not at two checks in a row.
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
    ready: float = 0.0
    number: str = "?"

    def __post_init__(self) -> None:
        self.name()

    def name(self) -> None:
        """Find its rank, which is unknown just after the launcher has forked it."""
        with suppress(OSError):
            variables = Path(f"/proc/{self.pid}/environ").read_bytes().split(b"\0")
            found = dict(variable.partition(b"=")[::2] for variable in variables)
            self.number = next((found[name].decode() for name in RANKS if name in found), self.number)

    def fault(self, seconds: float, limit: float) -> str | None:
        """Describe its fault once that has lasted longer than the limit; None without one. Works only on Linux."""
        state, work = _state(self.pid)
        gained, self.work = work - self.work, work
        self.stopped = self.stopped + seconds if state in "Tt" else 0.0
        if self.stopped > limit:
            return f"was stopped {limit:g} s ago, by SIGSTOP or a debugger"
        self.ready = self.ready + seconds if _wants_to_run(self.pid) else 0.0
        if not self.come or self.left or state in "?Tt" or gained >= _BUSY or self.ready > 1.5 * _TICK:
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
        """Describe how it ended without a farewell."""
        if not self.come:
            return "was killed, or ended before all ranks had connected"
        crash = re.search(rb"Fatal Python error: (.*)", self.heard)
        if not crash:
            other = ", or the launcher ended it because a rank on another machine failed" if self.far else ""
            return f"was killed, perhaps for lack of memory, or ended without a message{other}"
        frames = re.findall(rb'File "(.*)", line (\d+) in (.*)', self.heard)
        where = f", in {os.fsdecode(frames[0][0])} line {frames[0][1].decode()}" if frames else ""
        return f"crashed: {crash[1].decode(errors='replace')}{where}"


def _state(pid: int) -> tuple[str, int]:
    """The state of a process's main thread, as in `man 5 proc`, or "?"; and the processor time of all threads."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return "?", 0
    return fields[0].decode(), int(fields[11]) + int(fields[12])


def _wants_to_run(pid: int) -> bool:
    """Whether a thread runs or waits for a processor."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):  # it has just ended
            if stat.read_bytes().rpartition(b")")[2].split()[0] == b"R":
                return True
    return False


def listen(launcher: int) -> socket.socket | None:
    """Listen for the ranks of this launcher; None if another process already does."""
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(address(launcher))
    except OSError:
        server.close()
        return None
    server.listen(1024)
    return server


def watch(server: socket.socket, launcher: int, limit: float) -> None:
    """Return when all ranks have said farewell and ended, or when one has failed, been reported, and all have ended.

    Args:
        server: see `listen`.
        launcher: the process that started the ranks.
        limit: the seconds allowed without progress, 0 for no limit.
    """
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    ranks: dict[int, _Rank] = {}
    met, last = False, time.monotonic()
    while True:
        launched = Path(f"/proc/{launcher}").exists()  # checked before the events, which show if its ranks ended first
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
        for key, _ in events:  # in order of occurrence
            if key.fileobj is server:
                connection, _ = server.accept()
                pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                if user == os.getuid():
                    ranks[pid] = _Rank(pid, True)
                    selector.register(connection, selectors.EVENT_READ, ranks[pid])
                continue
            rank: _Rank = key.data
            if ranks.get(rank.pid) is not rank:  # it has connected since, or had said farewell
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
        seconds, last = min(now - last, 2 * _TICK), now  # this process may itself have been stopped
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
    """The child processes of the launcher."""
    with suppress(OSError):
        children = Path(f"/proc/{launcher}/task").glob("*/children")
        return {int(pid) for file in children for pid in file.read_text().split()}
    return set()


def _say(rank: _Rank, why: str) -> None:
    """Report a failed rank. Call it before ending the rank, since its environment is unreadable afterwards."""
    line = f"Error: rank {rank.number} (process {rank.pid} on {socket.gethostname()}) {why}\n"
    with suppress(OSError):
        os.write(2, line.encode())


def _end_all(ranks: dict[int, _Rank]) -> None:
    """Wait until the launcher has ended these ranks, or end them."""
    until = time.monotonic() + _LAUNCHER
    while any(_state(pid)[0] not in "?ZX" for pid in ranks):
        if time.monotonic() > until:
            for pid in ranks:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.05)


def main() -> None:
    """Watch in a detached process, so that no rank has to wait for it."""
    launcher, limit = int(sys.argv[1]), float(sys.argv[2])
    server = listen(launcher)
    if server and os.fork() == 0:
        watch(server, launcher, limit)


if __name__ == "__main__":
    main()
