"""LeNet on MNIST: the data, the models, training and the command `stackgrad-mnist`."""

from .data.datasets import Dataset, Split, load
from .data.idx import IdxError, read_idx
from .models import MODELS, ConvNet, Course, LeNet5, Model, make_model, normalise

__version__ = "0.2.0"

__all__ = [
    "MODELS",
    "ConvNet",
    "Course",
    "Dataset",
    "IdxError",
    "LeNet5",
    "Model",
    "Split",
    "load",
    "make_model",
    "normalise",
    "read_idx",
]
