"""How each model is trained, and the optimizers and schedules that a recipe names."""

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
        batch_size: images in a step.
        lr: the highest learning rate.
        weight_decay: of AdamW; the other optimizers have their own.
        optimizer: one of `OPTIMIZERS`.
        schedule: one of `SCHEDULES`.
        augment: whether the images of each batch are turned, stretched and shifted a little.
        patience: stop after so many epochs in which the images held out were not read better; None for never.
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
"""What of a recipe a run may be asked to do otherwise."""

RECIPES = {
    "lenet5": Recipe(3, 64, 0.004, 0.05),
    "course": Recipe(4, 64, 0.006, 0.01),
    "convnet": Recipe(16, 128, 0.01, 0.05, augment=True),
}

SGD_LR = 0.05
"""The learning rate of `sgd` where none is named: those of the recipes are Adam's."""

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
