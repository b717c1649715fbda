"""For each row of docs/pytorch.md, a function that shows the difference on both sides."""

from . import gradients, layers, learning, tensors, writes
from .both_sides import WITNESSES

__all__ = ["WITNESSES", "gradients", "layers", "learning", "tensors", "writes"]
