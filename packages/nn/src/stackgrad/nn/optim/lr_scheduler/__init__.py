"""Learning rate schedules, under PyTorch's names.

A schedule is one pure function, `rate(step, group)`, and a counter. The constructor sets the learning rates of the
optimizer's groups for step 0. Call `step()` after each `optimizer.step()` or each epoch; it sets the rates of the next
step. Schedules start from a group's "initial_lr", which the optimizer saves. So you may create a schedule before or
after loading the optimizer, and a rate that you set by hand becomes its new start.
"""

from ._base import Schedule
from ._cosine import Cosine, CosineAnnealingLR, CosineAnnealingWarmRestarts
from ._factors import (
    Constant,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiStepLR,
    SequentialLR,
    StepDecay,
    StepLR,
)
from ._one_cycle import OneCycle, OneCycleLR
from ._plateau import ReduceLROnPlateau

LRScheduler = Schedule

__all__ = [
    "Constant",
    "Cosine",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "OneCycle",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepDecay",
    "StepLR",
]
