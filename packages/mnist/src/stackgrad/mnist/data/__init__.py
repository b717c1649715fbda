"""What the networks are shown: MNIST and its like from IDX files, pictures and drawings brought into MNIST's form."""

from .datasets import Dataset, MnistReader, Split, load, verify
from .idx import IdxError, read_idx

__all__ = ["Dataset", "IdxError", "MnistReader", "Split", "load", "read_idx", "verify"]
