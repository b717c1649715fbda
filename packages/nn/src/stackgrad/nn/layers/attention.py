"""Multi-head attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_ints, expect_tensors

from .. import functional as F
from .. import init
from ..functional._attention import attention_weights, expect_masks
from ..functional._dropout import check_probability
from ..module import Module
from ..parameter import Parameter
from .linear import Linear


class MultiheadAttention(Module):
    """Multi-head attention: each head attends with its own part of the features.

    Source: Vaswani et al., "Attention is all you need", arXiv:1706.03762.

    Args:
        embed_dim: the features of a query and of the output, a multiple of `num_heads`.
        num_heads: the number of heads, which split the features.
        dropout: the probability of dropping an attention weight in training.
        bias: whether the four projections have a bias.
        kdim, vdim: the features of a key and of a value; `embed_dim` if None.
        batch_first: whether inputs are (batch, length, features) rather than (length, batch, features).
        generator: the source of the initial weights and of dropout; the default generator if None.
        dtype: the weights' dtype, float32 or float64; float32 if None.

    Attributes:
        in_proj_weight: (3 * embed_dim, embed_dim), for queries, keys and values. None if `kdim` or `vdim` differs from
            `embed_dim`; then there are q_proj_weight, k_proj_weight and v_proj_weight.
        in_proj_bias: (3 * embed_dim,), or None.
        out_proj: the `Linear` after the heads.

    Raises:
        TypeError: a dtype other than float32 and float64.
        ValueError: sizes that do not match, a `dropout` outside [0, 1].

    >>> x = ones(2, 5, 8)
    >>> out, weights = nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> out.shape, weights.shape
    ((2, 5, 8), (2, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        generator: Generator | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        kdim = embed_dim if kdim is None else kdim
        vdim = embed_dim if vdim is None else vdim
        expect_ints("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        if num_heads < 1 or embed_dim < 1 or embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: num_heads {num_heads} does not divide embed_dim {embed_dim}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = check_probability(dropout)
        self.batch_first = batch_first
        self.generator = generator

        def weight(rows: int, columns: int) -> Parameter:
            return Parameter(init.xavier_uniform((rows, columns), generator=generator, dtype=dtype))

        if kdim == vdim == embed_dim:
            self.in_proj_weight: Parameter | None = weight(3 * embed_dim, embed_dim)
        else:
            self.q_proj_weight = weight(embed_dim, embed_dim)
            self.k_proj_weight = weight(embed_dim, kdim)
            self.v_proj_weight = weight(embed_dim, vdim)
            self.in_proj_weight = None
        self.in_proj_bias = Parameter(sg.zeros(3 * embed_dim, dtype=dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, generator, dtype=dtype)
        if self.out_proj.bias is not None:
            with sg.no_grad():
                self.out_proj.bias.zero_()

    if TYPE_CHECKING:

        def __call__(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]: ...  # type: ignore[override]

    def forward(  # type: ignore[override]
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend from each query to the keys.

        Args:
            query: (queries, batch, embed_dim), (batch, queries, embed_dim) with `batch_first`, or (queries, embed_dim).
            key: (keys, batch, kdim), likewise.
            value: (keys, batch, vdim), likewise.
            key_padding_mask: (batch, keys): bools, true for keys to ignore, or floats that are added.
            need_weights: whether to return the attention weights.
            attn_mask: (queries, keys) or (batch * num_heads, queries, keys): bools, true where a query may NOT attend,
                or floats that are added. (In `functional.scaled_dot_product_attention` true means it may attend.)
            average_attn_weights: whether to average the weights over the heads.
            is_causal: query i attends to the keys 0 to i only; an `attn_mask` is then optional and must say the same.

        Returns:
            The output, in the query's shape; and the weights (batch, queries, keys), (batch, num_heads, queries, keys)
            without averaging, or None. Queries that may attend to no key get zeros.

        Raises:
            TypeError: an argument that is not a Tensor, a mask of integers.
            ValueError: shapes that do not match.
        """
        expect_tensors("MultiheadAttention", query=query, key=key, value=value)
        expect_masks("MultiheadAttention", key_padding_mask=key_padding_mask, attn_mask=attn_mask)
        unbatched = query.ndim == 2
        if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
            raise ValueError(
                "MultiheadAttention: query, key and value must all have 3 dimensions, or 2 without a batch; got "
                f"shapes {query.shape}, {key.shape} and {value.shape}"
            )
        batch_dim = 0 if self.batch_first else 1
        if unbatched:
            query, key, value = (x.unsqueeze(batch_dim) for x in (query, key, value))
            key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
        heads = [self._heads(i, x) for i, x in enumerate((query, key, value))]
        mask = self._mask(attn_mask, key_padding_mask, heads[0].shape, heads[1].shape, is_causal, query.dtype)
        causal = is_causal and mask is None
        weights = attention_weights(heads[0], heads[1], mask, causal)
        weights = F.dropout(weights, self.dropout, self.training, generator=self.generator)
        attended = (weights @ heads[2]).permute(*((0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3)))
        out = self.out_proj(attended.reshape(*attended.shape[:2], self.embed_dim))
        returned = None
        if need_weights:
            returned = weights.mean(1) if average_attn_weights else weights
            returned = returned.squeeze(0) if unbatched else returned
        return out.squeeze(batch_dim) if unbatched else out, returned

    def _heads(self, index: int, x: Tensor) -> Tensor:
        """The projection of queries (0), keys (1) or values (2): (batch, heads, length, features of a head)."""
        rows = slice(index * self.embed_dim, (index + 1) * self.embed_dim)
        if self.in_proj_weight is not None:
            weight: Tensor = self.in_proj_weight[rows]
        else:
            weight = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)[index]
        out = F.linear(x, weight, None if self.in_proj_bias is None else self.in_proj_bias[rows])
        out = out.reshape(*out.shape[:2], self.num_heads, self.embed_dim // self.num_heads)
        return out.permute(*((0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)))

    def _mask(
        self,
        attn_mask: Tensor | None,
        padding: Tensor | None,
        queries: tuple[int, ...],
        keys: tuple[int, ...],
        is_causal: bool,
        dtype: np.dtype[Any],
    ) -> Tensor | None:
        """Both masks as one that broadcasts to (batch, heads, queries, keys): bools, true where a query may attend."""
        batch, heads, length = queries[:3]
        if padding is not None:
            if padding.shape != (batch, keys[2]):
                raise ValueError(
                    f"MultiheadAttention: key_padding_mask must have shape (batch, keys), {(batch, keys[2])}; got "
                    f"{padding.shape}"
                )
            padding = padding.reshape(batch, 1, 1, keys[2])
        if attn_mask is None and is_causal and padding is not None:
            before = np.tri(length, keys[2], dtype=bool)
            attn_mask = sg.from_numpy(~before, backend=padding.backend)
        if attn_mask is not None:
            if attn_mask.shape not in ((length, keys[2]), (batch * heads, length, keys[2])):
                raise ValueError(
                    f"MultiheadAttention: attn_mask must have shape (queries, keys), {(length, keys[2])}, or, for "
                    f"each head, {(batch * heads, length, keys[2])}; got {attn_mask.shape}"
                )
            if attn_mask.ndim == 3:
                attn_mask = attn_mask.reshape(batch, heads, length, keys[2])
        both = attn_mask if padding is None else padding if attn_mask is None else _join(attn_mask, padding, dtype)
        return ~both if both is not None and both.dtype.kind == "b" else both

    def extra_repr(self) -> str:
        first = ", batch_first=True" if self.batch_first else ""
        return f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}{first}"


def _join(a: Tensor, b: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """Join two masks, each of bools, true for keys to ignore, or of floats that are added."""
    if a.dtype.kind == b.dtype.kind == "b":
        return a | b
    zero = sg.zeros((), dtype=dtype, backend=a.backend)
    first, second = (mask.where(-np.inf, zero) if mask.dtype.kind == "b" else mask for mask in (a, b))
    return first + second
