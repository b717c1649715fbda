"""Dropout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._autograd import BuiltinFunction, Context
from ._checks import expect_float, expect_numbers
from ._random import Generator, default_generator, next_draw

if TYPE_CHECKING:
    from ._tensor import Tensor


class Dropout(BuiltinFunction):
    @staticmethod
    def forward(ctx: Context, x: Tensor, rate: float, draw: NDArray[np.uint64]) -> Tensor:
        out, mask = x.backend.dropout(x.data, rate, draw)
        ctx.save(x.new(mask))
        return x.new(out)

    @staticmethod
    def backward(ctx: Context, g: Tensor) -> Tensor:
        (mask,) = ctx.saved
        return g * mask


def dropout(x: Tensor, rate: float, generator: Generator | None = None) -> Tensor:
    """Replace each element by 0 with probability `rate` (0 to 1), and scale the others by 1 / (1 - rate).

    The mask depends on the generator and the element's index in C order alone. If several processes share a batch, that
    is the index in the whole batch. Raises ValueError for another rate and TypeError for integers.
    N. Srivastava et al., "Dropout" (https://jmlr.org/papers/v15/srivastava14a.html).

    >>> dropout(ones(4), 0.0)
    tensor([1., 1., 1., 1.])
    """
    if type(rate) is not float:  # the usual case needs no call
        expect_numbers("dropout", rate=rate)
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: rate {rate}: expected 0 to 1")
    expect_float("dropout", x)
    row = math.prod(x.shape[1:])
    return Dropout.apply(x, rate, next_draw(generator or default_generator(), row))
