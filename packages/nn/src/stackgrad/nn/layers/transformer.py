"""The encoder of the transformer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from numpy.typing import DTypeLike

from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_functions, expect_ints

from .. import functional as F
from ..module import Module
from .attention import MultiheadAttention
from .container import ModuleList
from .dropout import Dropout
from .linear import Linear
from .norm import LayerNorm


class TransformerEncoderLayer(Module):
    """Self-attention, then two linear layers, each part with a residual connection.

    Source: Vaswani et al., "Attention is all you need", arXiv:1706.03762; with `norm_first` Xiong et al., "On layer
    normalization in the transformer architecture", arXiv:2002.04745.

    Args:
        d_model: the number of features.
        nhead: the number of attention heads.
        dim_feedforward: the features between the two linear layers.
        dropout: the probability of a zero after each part in training.
        activation: "relu", "gelu", or a function of a tensor.
        layer_norm_eps: added to the variance.
        batch_first: whether inputs are (batch, length, features) rather than (length, batch, features).
        norm_first: whether to normalise before each part rather than after each sum.
        bias: whether linear layers and normalisation have a bias.
        generator: the source of the initial weights and of dropout; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: sizes that do not match, an unknown activation.

    >>> nn.TransformerEncoderLayer(8, 2, batch_first=True)(ones(2, 5, 8)).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, generator=generator, dtype=dtype
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, generator, dtype=dtype)
        self.dropout = Dropout(dropout, generator=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, generator, dtype=dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout, generator=generator)
        self.dropout2 = Dropout(dropout, generator=generator)
        named: dict[Any, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu}
        if not (callable(activation) or (isinstance(activation, str) and activation in named)):
            raise ValueError(f'activation must be "relu", "gelu" or a function; got {activation!r}')
        self.activation = named[activation] if isinstance(activation, str) else activation

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Keeps the shape. The masks mean the same as in `MultiheadAttention`."""

        def attend(x: Tensor) -> Tensor:
            attended, _ = self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)
            return self.dropout1(attended)

        def feed_forward(x: Tensor) -> Tensor:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        if self.norm_first:
            src = src + attend(self.norm1(src))
            return src + feed_forward(self.norm2(src))
        src = self.norm1(src + attend(src))
        return self.norm2(src + feed_forward(src))


class TransformerEncoder(Module):
    """A stack of copies of one layer, which start with the same weights.

    Args:
        encoder_layer: the layer to copy.
        num_layers: the number of copies.
        norm: a normalisation after the last copy, or None.
        enable_nested_tensor: accepted for compatibility with PyTorch; it has no effect.

    >>> layer = nn.TransformerEncoderLayer(8, 2, batch_first=True)
    >>> nn.TransformerEncoder(layer, 3)(ones(2, 5, 8)).shape
    (2, 5, 8)
    """

    def __init__(
        self,
        encoder_layer: TransformerEncoderLayer,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
    ) -> None:
        expect_ints("TransformerEncoder", num_layers=num_layers)
        if norm is not None:
            expect_functions("TransformerEncoder", norm=norm)
        self.layers = ModuleList([copy.deepcopy(encoder_layer) for _ in range(num_layers)])
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Keeps the shape. The masks mean the same as in `MultiheadAttention`."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)
