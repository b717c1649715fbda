"""The input of the models: MNIST and similar data sets in IDX files, and pictures and drawings in MNIST's format."""

from .datasets import Dataset, MnistReader, Split, load, verify
from .idx import IdxError, read_idx

__all__ = ["Dataset", "IdxError", "MnistReader", "Split", "load", "read_idx", "verify"]
