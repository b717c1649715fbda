"""The hyperparameters of each model, and the optimizers and schedules that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from stackgrad import nn
from stackgrad.tensor import Tensor


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        epochs: passes over the training images.
        batch_size: images per step.
        lr: the highest learning rate.
        weight_decay: the weight decay of AdamW; other optimizers have fixed values.
        optimizer: a key of `OPTIMIZERS`.
        schedule: a key of `SCHEDULES`.
        augment: whether `augment` changes the images of each batch.
        patience: stop after this many epochs without a lower loss on held-out images; None to train for all epochs.
    """

    epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    augment: bool = False
    patience: int | None = None


OPTIONS = ("epochs", "batch_size", "lr", "optimizer", "schedule", "augment", "patience")
"""The fields of a recipe that options of a run can override."""

RECIPES = {
    "lenet5": Recipe(3, 64, 0.004, 0.05),
    "course": Recipe(4, 64, 0.006, 0.01),
    "convnet": Recipe(12, 128, 0.01, 0.05, augment=True),
}

SGD_LR = 0.05
"""The default learning rate of `sgd`. The recipes' learning rates are for Adam."""

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor], Recipe], nn.Optimizer]] = {
    "adamw": lambda params, recipe: nn.AdamW(params, recipe.lr, weight_decay=recipe.weight_decay),
    "adam": lambda params, recipe: nn.Adam(params, recipe.lr),
    "sgd": lambda params, recipe: nn.SGD(params, recipe.lr, momentum=0.9, nesterov=True, weight_decay=5e-4),
}

SCHEDULES: dict[str, Callable[[nn.Optimizer, Recipe, int], nn.Schedule]] = {
    "one-cycle": lambda optimizer, recipe, steps: nn.OneCycle(optimizer, recipe.lr, steps),
    "cosine": lambda optimizer, recipe, steps: nn.Cosine(optimizer, steps),
    "constant": lambda optimizer, recipe, steps: nn.Constant(optimizer),
}
