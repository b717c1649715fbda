"""Optimizers and schedules of the learning rate, under PyTorch's names."""

from . import lr_scheduler
from ._optimizer import Optimizer
from .adam import Adam, AdamW
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "lr_scheduler"]
