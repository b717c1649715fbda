"""Tensors with automatic differentiation, on NumPy or on any installed backend.

>>> from stackgrad.tensor import tensor
>>> x = tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> (x * x).sum().backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from ._autograd import Context, Function, Node
from ._backend import Backend, available_backends, get_backend, set_default_backend
from ._backward import grad
from ._capture import Captured, capture
from ._conv import conv1d, conv2d, conv_transpose1d, conv_transpose2d
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
from ._dtypes import bool_, float32, float64, int64
from ._gradcheck import grad_check
from ._host import HostBackend
from ._layers import batch_norm, dropout, embedding, linear
from ._mode import enable_grad, is_recording, no_grad, observed
from ._numpy import NumpyBackend
from ._optable import OPS, REDUCTIONS, Op, Reduction
from ._optim import adam_numbers, adam_step, sgd_numbers, sgd_step
from ._pool import avg_pool2d, max_pool2d
from ._random import Generator, default_generator, manual_seed
from ._shape import Window
from ._softmax import cross_entropy, log_softmax, nll_loss, softmax
from ._tape import Launches, Tape, capturing, depends_on, each_time
from ._tensor import Tensor

__version__ = "0.1.0"

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
    "get_backend",
    "grad",
    "grad_check",
    "int64",
    "is_recording",
    "linear",
    "log_softmax",
    "manual_seed",
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
