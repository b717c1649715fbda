"""How much of the machine other processes used during a measurement."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks._peers.load import STAT, Others
from benchmarks._pipe import Worker

BUSY = 0.1  # if other processes use more of the cores, the machine counts as busy


class OthersThan:
    """The fraction of the cores that processes other than this one and its workers have used since its creation."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._others = Others(lambda: sum(os.times()[:4]) + sum(worker.ask("spent") for worker in workers))

    def share(self) -> float | None:
        """The fraction, 0 to 1; None if the system does not report it."""
        return self._others.share() if STAT.exists() else None


def summary(shares: Sequence[float | None]) -> str:
    """A line about all rounds."""
    known = [share for share in shares if share is not None]
    if not known:
        return "it is not known how busy the machine was"
    busy = sum(share > BUSY for share in known)
    mean = sum(known) / len(known)
    return f"other processes used {mean:.0%} of the cores; the machine was busy in {busy} of {len(known)} rounds"
