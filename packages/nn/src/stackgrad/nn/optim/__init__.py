"""Optimizers, learning rate schedules and weight averages, under PyTorch's names."""

from . import lr_scheduler, swa_utils
from ._optimizer import Optimizer
from .adagrad import Adagrad
from .adam import Adam, AdamW
from .rmsprop import RMSprop
from .sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler", "swa_utils"]
