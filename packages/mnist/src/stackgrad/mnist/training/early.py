"""Early stopping: end training when the loss on held-out images no longer improves.

L. Prechelt, "Early stopping - but when?", 1998, https://doi.org/10.1007/3-540-49430-8_3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stackgrad import nn
from stackgrad.tensor import Generator, Tensor

from ..data.datasets import Split
from ..data.idx import IdxError
from ..models import Model


def held_out(images: int) -> int:
    """How many out of `images` training images are held out: a tenth."""
    return max(1, images // 10)


def hold_out(split: Split, generator: Generator) -> tuple[Split, Split]:
    """Split at random into images to train on and images to hold out. Raises IdxError for a single image."""
    count = held_out(len(split))
    if len(split) == count:
        raise IdxError("--patience holds out training images, but there is only one")
    order = nn.permutation(len(split), generator)
    rest, held = np.sort(order[count:]), np.sort(order[:count])
    return Split(split.images[rest], split.labels[rest]), Split(split.images[held], split.labels[held])


@dataclass
class EarlyStopping:
    """Counts the epochs since the loss on the held-out images was lowest, and keeps the weights of that epoch.

    Attributes:
        patience: training ends after this many epochs without a lower loss; None never ends it.
        best_epoch, best_accuracy: the epoch of the kept weights, from 1, and their accuracy on the held-out images.
    """

    patience: int | None
    best_loss: float = math.inf
    best_accuracy: float = 0.0
    best_epoch: int = 0
    waited: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether training should end."""
        return self.patience is not None and self.waited >= self.patience

    def see(self, loss: float, accuracy: float, epoch: int, model: Model) -> None:
        """Record the loss and accuracy on the held-out images after an epoch."""
        if loss < self.best_loss:
            self.best_loss, self.best_accuracy, self.best_epoch, self.waited = loss, accuracy, epoch, 0
            self.best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            self.waited += 1

    def state_dict(self) -> dict[str, Any]:
        """The kept weights and the counters."""
        return {name: value for name, value in vars(self).items() if name != "patience"}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        for name in self.state_dict():
            setattr(self, name, state[name])
