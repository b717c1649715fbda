"""The losses of training, read seldom where that takes time."""

from __future__ import annotations

from stackgrad.tensor import Tensor, arange, get_backend, zeros

from .ranks import gathered

# After how many steps losses are read, by backend, 1 elsewhere. A GPU works on while Python prepares the next steps;
# to read a value is to wait for it.
READ_EVERY = {"cuda": 50}


class Losses:
    """The losses of steps that were not read yet, on the default backend.

    Attributes:
        every: after how many steps they are to be read at the latest.
    """

    def __init__(self) -> None:
        self.every = READ_EVERY.get(get_backend().name, 1)
        self._kept = zeros(self.every + 1)  # those before the last, which is moved from and never read
        self._last = self._kept
        self._newest = arange(self.every) == self.every - 1
        self._shares: list[float] = []

    def keep(self, loss: Tensor) -> Tensor:
        """The last losses, with that of this step behind: a part of the work of a step, which may be captured."""
        if self.every == 1:
            return loss
        self._kept[:-1] = self._newest.where(loss, self._kept[1:])
        return self._kept

    def count(self, last: Tensor, share: float = 1.0) -> None:
        """A step was done, and `keep` gave `last` in it, of so great a share of the batch."""
        self._last = last
        self._shares.append(share)

    def read(self) -> list[float]:
        """The losses since the last time, that of the last step at the end: of whole batches, from all ranks."""
        shares, self._shares = self._shares, []
        if not shares:
            return []
        losses = self._last.numpy().reshape(-1)[self.every - len(shares) : self.every].tolist()
        parts = [loss * share if share else 0.0 for loss, share in zip(losses, shares, strict=True)]
        return [float(loss) for loss in gathered(*parts).sum(0)]
