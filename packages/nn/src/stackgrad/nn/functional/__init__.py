"""Stateless functions of tensors, which the layers call.

Names, arguments and meaning are PyTorch's. The functions of the minitorch course are in `course`.
"""

from stackgrad.tensor import (
    avg_pool1d,
    avg_pool2d,
    conv1d,
    conv2d,
    conv_transpose1d,
    conv_transpose2d,
    embedding,
    linear,
    log_softmax,
    max_pool1d,
    max_pool2d,
    one_hot,
    softmax,
)

from ._activation import (
    elu,
    gelu,
    hardtanh,
    leaky_relu,
    logsigmoid,
    mish,
    relu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from ._adaptive_pool import adaptive_avg_pool1d, adaptive_avg_pool2d
from ._attention import scaled_dot_product_attention
from ._class_loss import cross_entropy, nll_loss
from ._distance import cosine_similarity, normalize, pairwise_distance
from ._dropout import dropout, dropout1d, dropout2d
from ._loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    smooth_l1_loss,
)
from ._norm import batch_norm, group_norm, layer_norm
from ._pad import pad
from ._resample import interpolate

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout1d",
    "dropout2d",
    "elu",
    "embedding",
    "gelu",
    "group_norm",
    "hardtanh",
    "huber_loss",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool1d",
    "max_pool2d",
    "mish",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softplus",
    "tanh",
]
