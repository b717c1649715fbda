"""Comparison of the functions that ranks call, before any exchange."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._world import world

CALLS = ("backward", "gather", "agree", "total", "broadcast", "by_first", "sync_batch_norm", "the end of watch")


class DisagreementError(RuntimeError):
    """Ranks differ in values or calls that must be equal. All ranks raise it."""


class Call:
    """A function that all ranks must call together. If some call another function or have ended, all ranks raise.

    Otherwise they could wait for each other forever, or receive the data of another call.

    Args:
        name: one of `CALLS`.
        samples: this rank's number of samples, for backward.
        signature: a checksum that must be equal on all ranks.
    """

    def __init__(self, name: str, samples: int = 0, signature: int = 0) -> None:
        self.comm = world().calls
        self.own = np.array([CALLS.index(name), samples, signature], np.int64)
        self.all = np.empty((self.comm.size, 3), np.int64)
        self.own_samples, self.samples = samples, 0  # samples: the sum over all ranks, once known
        self._request: Any = None
        self._compared = False

    def start(self) -> None:
        self._compared = False
        self._request = self.comm.Iallgather(self.own, self.all)

    def is_there(self) -> bool:
        """Whether all ranks have called this. Raises as `wait`."""
        if not self._compared and self._request.Test():
            self._compare()
        return self._compared

    def wait(self) -> None:
        """Wait until all ranks have called this.

        Raises:
            DisagreementError: a rank called another function or has another signature.
            ValueError: backward without samples.
        """
        if not self._compared:
            self._request.Wait()
            self._compare()

    def _compare(self) -> None:
        calls, samples, signatures = self.all.T.tolist()
        ranks = range(len(calls))
        if calls.count(calls[0]) < len(calls):
            found = {CALLS[call]: [rank for rank in ranks if calls[rank] == call] for call in sorted(set(calls))}
            raise DisagreementError(
                "the ranks call different functions: "
                + ", ".join(f"{name} on ranks {some}" for name, some in found.items())
                + f" of {len(calls)}: all must call the same functions in the same order"
            )
        if signatures.count(signatures[0]) < len(signatures):
            others = [rank for rank in ranks if signatures[rank] != signatures[0]]
            raise DisagreementError(
                f"backward: ranks {others} of {len(calls)} differ from rank 0 in the shapes, dtypes or devices of "
                "their parameters, in the frozen ones, or in the optimizer: create the same model and optimizers on "
                "all ranks, and call them in the same order"
            )
        self.samples = sum(samples)
        if CALLS[calls[0]] == "backward" and not self.samples:
            raise ValueError(f"backward of 0 samples on each of {len(calls)} ranks: expected 1 or more on one of them")
        self._compared = True


def meet(name: str) -> None:
    """Wait until all ranks have called the function of this name. Raises as `Call.wait`."""
    if world().size > 1:
        call = Call(name, 1)
        call.start()
        call.wait()
