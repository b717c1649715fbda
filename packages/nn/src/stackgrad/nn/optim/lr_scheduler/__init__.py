"""Learning rates that change from step to step, under PyTorch's names.

A schedule is one pure function, `rate(step, group)`, and a counter. Making it sets the learning rates of the
optimizer's groups for step 0; `step()`, called after each `optimizer.step()` or after each epoch, sets those of the
next. Where a rate starts from that of a group, it is the group's "initial_lr", which the optimizer saves: so the
schedule may be made before or after the optimizer is loaded, and a rate that is set by hand is where it goes on from.
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
