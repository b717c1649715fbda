"""stackgrad.nn: neural networks from the tensors of `stackgrad.tensor`.

Functions without state are in `functional` and `losses`, layers in `layers`, initial weights in `init`, those of the
minitorch course in `course`; all public names but those of `init` and `course`, and what PyTorch has in `utils`,
`optim.lr_scheduler` and `optim.swa_utils`, are here too. Where a tensor computes is the tensor's affair: nothing in
this package is bound to a backend, and a network trained with compiled kernels runs with NumPy alone.
"""

from . import course, functional, init, optim, utils
from .data import DataLoader, Dataset, TensorDataset, batches, permutation
from .functional import (
    avg_pool2d,
    batch_norm,
    conv1d,
    conv2d,
    dropout,
    linear,
    log_softmax,
    max_pool2d,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from .layers.activation import LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .layers.conv import Conv1d, Conv2d
from .layers.dropout import Dropout
from .layers.linear import Flatten, Linear
from .layers.norm import BatchNorm1d, BatchNorm2d
from .layers.pool import AvgPool2d, MaxPool2d
from .layers.sequential import Sequential
from .losses import cross_entropy, mse_loss, nll_loss
from .module import Module
from .optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from .optim.lr_scheduler import Constant, Cosine, OneCycle, Schedule, StepDecay
from .optim.swa_utils import EMA, AveragedModel
from .parameter import Buffer, Parameter
from .saving import load, load_metadata, save

__version__ = "0.1.0"

__all__ = [
    "EMA",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AveragedModel",
    "AvgPool2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Constant",
    "Conv1d",
    "Conv2d",
    "Cosine",
    "DataLoader",
    "Dataset",
    "Dropout",
    "Flatten",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "OneCycle",
    "Optimizer",
    "Parameter",
    "RMSprop",
    "ReLU",
    "Schedule",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "StepDecay",
    "Tanh",
    "TensorDataset",
    "avg_pool2d",
    "batch_norm",
    "batches",
    "conv1d",
    "conv2d",
    "course",
    "cross_entropy",
    "dropout",
    "functional",
    "init",
    "linear",
    "load",
    "load_metadata",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "optim",
    "permutation",
    "relu",
    "save",
    "sigmoid",
    "softmax",
    "tanh",
    "utils",
]
