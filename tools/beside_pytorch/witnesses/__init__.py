"""For each row of docs/pytorch.md a function that shows on both sides what the row says."""

from . import gradients, layers, learning, tensors, writes
from .both_sides import WITNESSES

__all__ = ["WITNESSES", "gradients", "layers", "learning", "tensors", "writes"]
