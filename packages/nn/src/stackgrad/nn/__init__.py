"""stackgrad.nn: neural networks from the tensors of `stackgrad.tensor`.

Stateless functions and losses are in `functional`, layers in `layers`, initialisers in `init`, and the functions of
the minitorch course in `course`. This module also exports all layers and the most used functions, but not what
PyTorch keeps in `utils`, `optim.lr_scheduler` and `optim.swa_utils`. The tensors choose the backend: nothing in this
package depends on one, and a network trained with compiled kernels also runs with NumPy alone.
"""

from . import course, functional, init, optim, utils
from .data import DataLoader, Dataset, Subset, TensorDataset, batches, permutation, random_split
from .functional import (
    avg_pool2d,
    batch_norm,
    conv1d,
    conv2d,
    cross_entropy,
    dropout,
    linear,
    log_softmax,
    max_pool2d,
    mse_loss,
    nll_loss,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from .layers.activation import (
    ELU,
    GELU,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from .layers.attention import MultiheadAttention
from .layers.cell import GRUCell, LSTMCell, RNNCell
from .layers.container import ModuleDict, ModuleList, Sequential
from .layers.conv import Conv1d, Conv2d
from .layers.conv_transpose import ConvTranspose1d, ConvTranspose2d
from .layers.dropout import Dropout, Dropout1d, Dropout2d
from .layers.embedding import Embedding
from .layers.linear import Linear
from .layers.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from .layers.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from .layers.pool import AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, MaxPool1d, MaxPool2d
from .layers.recurrent import GRU, LSTM, RNN
from .layers.resample import Upsample
from .layers.shape import Flatten, Identity, Unflatten
from .layers.transformer import TransformerEncoder, TransformerEncoderLayer
from .module import Module
from .optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from .optim.lr_scheduler import Constant, Cosine, OneCycle, Schedule, StepDecay
from .optim.swa_utils import EMA, AveragedModel
from .parameter import Buffer, Parameter
from .saving import load, load_metadata, save
from .summary import summary

__version__ = "0.2.0"

__all__ = [
    "ELU",
    "EMA",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AveragedModel",
    "AvgPool1d",
    "AvgPool2d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Buffer",
    "Constant",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "Cosine",
    "CrossEntropyLoss",
    "DataLoader",
    "Dataset",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "Hardtanh",
    "HuberLoss",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "OneCycle",
    "Optimizer",
    "Parameter",
    "RMSprop",
    "RNNCell",
    "ReLU",
    "Schedule",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "StepDecay",
    "Subset",
    "Tanh",
    "TensorDataset",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
    "Upsample",
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
    "random_split",
    "relu",
    "save",
    "sigmoid",
    "softmax",
    "summary",
    "tanh",
    "utils",
]
