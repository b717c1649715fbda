"""The losses of training, which are read rarely if reading is slow."""

from __future__ import annotations

from stackgrad.tensor import Tensor, arange, get_backend, zeros

from .ranks import gathered

# Steps between reads of the loss, by backend; 1 for others. A GPU computes while Python prepares the next steps, and
# reading a value waits for it.
READ_EVERY = {"cuda": 50}


class Losses:
    """The losses that are not read yet, on the default backend.

    Attributes:
        every: call `read` at least once in this many steps.
    """

    def __init__(self) -> None:
        self.every = READ_EVERY.get(get_backend().name, 1)
        self._kept = zeros(self.every + 1)  # the last losses; the final element is a source of shifts and never read
        self._last = self._kept
        self._newest = arange(self.every) == self.every - 1
        self._shares: list[float] = []

    def keep(self, loss: Tensor) -> Tensor:
        """Append the loss of this step and return the last losses. May be part of a captured step."""
        if self.every == 1:
            return loss
        self._kept[:-1] = self._newest.where(loss, self._kept[1:])
        return self._kept

    def count(self, last: Tensor, share: float = 1.0) -> None:
        """Record a step: `last` is the result of `keep`, and `share` is this rank's fraction of the batch."""
        self._last = last
        self._shares.append(share)

    def read(self) -> list[float]:
        """The losses since the last call, oldest first: those of whole batches, summed over the ranks."""
        shares, self._shares = self._shares, []
        if not shares:
            return []
        losses = self._last.numpy().reshape(-1)[self.every - len(shares) : self.every].tolist()
        parts = [loss * share if share else 0.0 for loss, share in zip(losses, shares, strict=True)]
        return [float(loss) for loss in gathered(*parts).sum(0)]
