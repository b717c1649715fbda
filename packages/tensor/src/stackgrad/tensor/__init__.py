"""Tensors with automatic differentiation, on NumPy or on any installed backend.

Examples:
    >>> from stackgrad.tensor import tensor
    >>> x = tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import _exchange
from ._autograd import Context, Function, Node
from ._backend import Backend
from ._backward import grad
from ._batch_norm import batch_norm
from ._conv import conv1d, conv2d
from ._conv_transpose import conv_transpose1d, conv_transpose2d
from ._create import (
    arange,
    bernoulli,
    concatenate,
    from_dlpack,
    from_numpy,
    full,
    maximum,
    minimum,
    ones,
    rand,
    randn,
    stack,
    tensor,
    where,
    zeros,
)
from ._dropout import dropout
from ._dtypes import bool_, float32, float64, int64
from ._embedding import embedding
from ._host import HostBackend
from ._installed import available_backends, get_backend, set_default_backend
from ._linear import linear
from ._mode import enable_grad, is_recording, no_grad, observed
from ._numpy import NumpyBackend
from ._optable import OPS, REDUCTIONS, Op, Reduction
from ._optim import adam_numbers, adam_step, sgd_numbers, sgd_step
from ._pool import avg_pool1d, avg_pool2d, max_pool1d, max_pool2d
from ._random import Generator, default_generator, manual_seed
from ._softmax import cross_entropy, log_softmax, nll_loss, softmax
from ._tape import Launches, Tape, capturing, depends_on, each_time
from ._tensor import Tensor
from ._window import Window

if TYPE_CHECKING:
    from . import array_api as array_api
    from . import autograd as autograd
    from . import cuda as cuda
    from . import linalg as linalg
    from . import types as types
    from ._capture import Captured as Captured
    from ._capture import capture as capture
    from ._classes import *  # noqa: F403
    from ._draws import *  # noqa: F403
    from ._einsum import *  # noqa: F403
    from ._functions import *  # noqa: F403
    from ._fuse import fuse as fuse
    from ._gradcheck import grad_check as grad_check
    from ._grids import *  # noqa: F403
    from ._joining import *  # noqa: F403
    from ._like import *  # noqa: F403
    from ._names import *  # noqa: F403
    from ._overloads import *  # noqa: F403

__version__ = "0.2.0"

__all__ = [
    "OPS",
    "REDUCTIONS",
    "Backend",
    "Captured",
    "Context",
    "Function",
    "Generator",
    "HostBackend",
    "Launches",
    "Node",
    "NumpyBackend",
    "Op",
    "Reduction",
    "Tape",
    "Tensor",
    "Window",
    "adam_numbers",
    "adam_step",
    "arange",
    "available_backends",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "bernoulli",
    "bool_",
    "capture",
    "capturing",
    "concatenate",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cross_entropy",
    "default_generator",
    "depends_on",
    "dropout",
    "each_time",
    "embedding",
    "enable_grad",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "full",
    "fuse",
    "get_backend",
    "grad",
    "grad_check",
    "int64",
    "is_recording",
    "linear",
    "log_softmax",
    "manual_seed",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "minimum",
    "nll_loss",
    "no_grad",
    "observed",
    "ones",
    "rand",
    "randn",
    "set_default_backend",
    "sgd_numbers",
    "sgd_step",
    "softmax",
    "stack",
    "tensor",
    "where",
    "zeros",
]

if TYPE_CHECKING:  # pyright treats unlisted names as private
    from . import _classes, _draws, _einsum, _functions, _grids, _joining, _like, _names, _overloads

    __all__ += _classes.__all__
    __all__ += _draws.__all__
    __all__ += _einsum.__all__
    __all__ += _functions.__all__
    __all__ += _grids.__all__
    __all__ += _joining.__all__
    __all__ += _like.__all__
    __all__ += _names.__all__
    __all__ += _overloads.__all__

# Less common names are imported on first use: these, and those in the `__all__` of the modules below.
_HOMES = {"Captured": "_capture", "capture": "_capture", "fuse": "_fuse", "grad_check": "_gradcheck"}
_MORE = ("_classes", "_functions", "_overloads", "_joining", "_like", "_grids", "_draws", "_einsum", "_names")

# Available if stackgrad.nn is installed, for code that writes `torch.optim.Adam`; nothing here needs them.
_ABOVE = {"nn": "stackgrad.nn", "optim": "stackgrad.nn.optim", "utils": "stackgrad.nn.utils"}

_SUBMODULES = ("array_api", "autograd", "cuda", "linalg", "types")
_exchange.find_namespace = partial(import_module, ".array_api", __name__)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name in _SUBMODULES:
            return import_module(f".{name}", __name__)
        home = _HOMES.get(name)
        for part in (home,) if home else () if name.startswith("_") else _MORE:
            module = import_module(f".{part}", __name__)
            if home or name in module.__all__:
                found = globals()[name] = getattr(module, name)
                return found
        if name in _ABOVE:
            try:
                return import_module(_ABOVE[name])
            except ModuleNotFoundError as error:
                raise AttributeError(f"{__name__}.{name} needs stackgrad-nn: {error}") from error
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    more = (name for part in _MORE for name in import_module(f".{part}", __name__).__all__)
    return sorted({*globals(), *_HOMES, *_SUBMODULES, *more})
