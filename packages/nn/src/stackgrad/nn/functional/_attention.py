"""Attention."""

import math

import numpy as np

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_numbers, expect_tensors
from stackgrad.tensor._errors import not_a_tensor

from ._dropout import dropout


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """softmax(query @ transposed key * scale + mask) @ value.

    Source: Vaswani et al., "Attention is all you need", arXiv:1706.03762.

    Args:
        query: (..., queries, features).
        key: (..., keys, features); the leading dimensions broadcast.
        value: (..., keys, value features).
        attn_mask: broadcasts to (..., queries, keys): bools, true where a query may attend, or floats that are added. A
            query that may attend to no key gets zeros.
        dropout_p: the probability of dropping a weight. There is no `training` argument: pass 0 in evaluation.
        is_causal: query i attends to the keys 0 to i only.
        scale: 1 / sqrt(features) if None.
        enable_gqa: several query heads share each key and value head (dimension -3).
        generator: the source of the dropout mask; the default generator if None.

    Returns:
        (..., queries, value features).

    Raises:
        TypeError: an argument that is not a Tensor, a mask of integers.
        ValueError: shapes that do not match, both a mask and `is_causal`, a `dropout_p` outside [0, 1].

    >>> F.scaled_dot_product_attention(ones(2, 5, 8), ones(2, 7, 8), ones(2, 7, 8)).shape
    (2, 5, 8)
    """
    function = "scaled_dot_product_attention"
    expect_tensors(function, query=query, key=key, value=value)
    expect_masks(function, attn_mask=attn_mask)
    if scale is not None:
        expect_numbers(function, scale=scale)
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ValueError(
            f"{function}: query, key and value must be (..., length, features); got shapes {query.shape}, {key.shape} "
            f"and {value.shape}"
        )
    if is_causal and attn_mask is not None:
        raise ValueError(f"{function}: got both attn_mask and is_causal=True: expected one of them")
    if enable_gqa:
        key, value = _repeat_heads(query, key), _repeat_heads(query, value)
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    return dropout(weights, dropout_p, generator=generator) @ value


def expect_masks(what: str, **masks: object) -> None:
    """Raise TypeError unless each of these arguments of `what` is None, or a tensor of bools or floats."""
    for name, mask in masks.items():
        if mask is None:
            continue
        if not isinstance(mask, Tensor):
            raise not_a_tensor(f"{what}: {name}", mask)
        if mask.dtype.kind not in "bf":
            raise TypeError(
                f"{what}: {name} has dtype {mask.dtype}: expected bool, or float32 or float64, which are added to the "
                "scores; use .astype(bool)"
            )


def attention_weights(
    query: Tensor, key: Tensor, mask: Tensor | None, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """The weights (..., queries, keys), which sum to 1 over the keys; all 0 for a query that may attend to no key."""
    scale = 1 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    scores = (query * scale) @ key.transpose(-1, -2)
    if is_causal:
        before = sg.from_numpy(np.tri(*scores.shape[-2:], dtype=bool), backend=query.backend)
        return sg.softmax(before.where(scores, -math.inf), -1)
    if mask is None:
        return sg.softmax(scores, -1)
    scores = mask.where(scores, -math.inf) if mask.dtype.kind == "b" else scores + mask
    masked = scores.detach().max(-1, keepdim=True) == -math.inf
    return masked.where(0.0, sg.softmax(masked.where(0.0, scores), -1))


def _repeat_heads(query: Tensor, x: Tensor) -> Tensor:
    """x with each head repeated once for every query head that shares it."""
    if x.ndim < 3 or query.ndim < 3 or not x.shape[-3] or query.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"scaled_dot_product_attention: with enable_gqa, query heads must be a multiple of key and value heads "
            f"(dimension -3); got shapes {query.shape} and {x.shape}"
        )
    *lead, heads, length, features = x.shape
    each = x.unsqueeze(-3).expand(*lead, heads, query.shape[-3] // heads, length, features)
    return each.reshape(*lead, query.shape[-3], length, features)
