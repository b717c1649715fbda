"""The types that the signatures of `stackgrad.nn` name, beyond those of `stackgrad.tensor.types`."""

from ._state import UnmatchedKeys
from .functional._adaptive_pool import Goal
from .functional._loss import Reduction
from .functional._pad import PaddingMode
from .functional._resample import Scale
from .init import Fan
from .layers.conv import Around
from .optim._groups import Group, Params, Settings
from .optim.swa_utils import Average, Averages

__all__ = [
    "Around",
    "Average",
    "Averages",
    "Fan",
    "Goal",
    "Group",
    "PaddingMode",
    "Params",
    "Reduction",
    "Scale",
    "Settings",
    "UnmatchedKeys",
]
