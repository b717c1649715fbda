"""The docstrings of all public classes, functions and methods of tensor and nn, and their examples."""

import builtins
import inspect

import numpy as np

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import functional, init, optim, utils

from .public_names import ONLY_TYPES, described_in, methods, public_values

# What the examples may use without an import: the names of stackgrad.tensor but those of Python's builtins, and these.
NAMES = {name: getattr(sg, name) for name in dir(sg) if not name.startswith("_") and not hasattr(builtins, name)}
NAMES |= {"np": np, "sg": sg, "nn": nn, "F": functional, "init": init, "optim": optim, "utils": utils}


def docstrings() -> dict[str, str]:
    """The docstring of each public class, function and method of the two packages, by its name."""
    found = {}
    for name, value in public_values().items():
        if not name.startswith(("stackgrad.tensor", "stackgrad.nn")) or described_in().get(id(value)) != name:
            continue
        if name.startswith(ONLY_TYPES):
            continue
        found[name] = value.__doc__ or ""
        if inspect.isclass(value):
            for method, function in methods(value).items():
                found[f"{name}.{method}"] = function.__doc__ or ""
    return found


EXAMPLES = {name: text for name, text in docstrings().items() if ">>> " in text}
