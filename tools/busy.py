"""How much of the machine others used while something was measured."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks._peers.load import STAT, Others
from benchmarks._pipe import Worker

BUSY = 0.1  # of the cores: beyond that a round is said to be measured on a busy machine


class OthersThan:
    """The share of the cores that processes other than this one and its workers used since it was made."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._others = Others(lambda: sum(os.times()[:4]) + sum(worker.ask("spent") for worker in workers))

    def share(self) -> float | None:
        """0 to 1; None where the system does not say."""
        return self._others.share() if STAT.exists() else None


def summary(shares: Sequence[float | None]) -> str:
    """A line about all rounds."""
    known = [share for share in shares if share is not None]
    if not known:
        return "how busy the machine was is not known here"
    busy = sum(share > BUSY for share in known)
    mean = sum(known) / len(known)
    return f"others used {mean:.0%} of the cores; {busy} of {len(known)} rounds were measured on a busy machine"
