"""Random integers, permutations, classes and normal values, the same on every backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import DTypeLike

from ._arithmetic import expect_none
from ._checks import expect_float, expect_ints, expect_operands, expect_tensors
from ._create import rand, randn
from ._device import on
from ._dtypes import float64, int64
from ._random import Generator
from ._shape import checked
from ._types import Device

if TYPE_CHECKING:
    from ._tensor import Tensor

_MOST = 2**53  # the integers that a float64 draw can distinguish


def randint(
    low: int,
    high: int | Sequence[int] | None = None,
    size: Sequence[int] | None = None,
    *,
    dtype: DTypeLike | None = None,
    backend: Device = None,
    device: Device = None,
    generator: Generator | None = None,
) -> Tensor:
    """Random integers in [low, high), or [0, high), in the shape `size`: randint(6, (2,)), randint(1, 7, (2,)).

    int64 unless `dtype` is given. Raises ValueError for an empty interval and for one of more than 2**53 integers,
    TypeError without `high` or `size`.

    >>> randint(6, (2, 3)).shape
    (2, 3)
    """
    backend = on(backend, device)
    if size is None:
        if not isinstance(high, Sequence):
            raise TypeError("randint without size: expected a shape, such as (3,)")
        return randint(0, low, high, dtype=dtype, backend=backend, generator=generator)
    if high is None or isinstance(high, Sequence):
        raise TypeError("randint without high: expected randint(high, size) or randint(low, high, size)")
    expect_ints("randint", low=low, high=high)
    if not 0 < high - low <= _MOST:
        raise ValueError(f"randint from {low} to below {high}: expected 1 to 2**53 integers")
    draws = rand(checked(size), dtype=float64, backend=backend, generator=generator) * (high - low)
    return (draws.astype(int64) + low).astype(dtype or int64)


def randint_like(input: Tensor, low: int, high: int | None = None, generator: Generator | None = None) -> Tensor:
    """`randint` in the shape, dtype and on the backend of `input`.

    >>> randint_like(tensor([5, 6]), 10).shape
    (2,)
    """
    expect_tensors("randint_like", input=input)
    first, last = (0, low) if high is None else (low, high)
    return randint(first, last, input.shape, dtype=input.dtype, backend=input.backend, generator=generator)


def randperm(n: int, *, backend: Device = None, device: Device = None, generator: Generator | None = None) -> Tensor:
    """A random permutation of 0 .. n - 1: int64 (n,).

    >>> randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    backend = on(backend, device)
    return rand(checked((n,)), dtype=float64, backend=backend, generator=generator).argsort(0)


def normal(
    mean: float | Tensor,
    std: float | Tensor = 1.0,
    size: Sequence[int] | None = None,
    *,
    backend: Device = None,
    device: Device = None,
    generator: Generator | None = None,
) -> Tensor:
    """Normal values in the shape `size`, or in the broadcast shape of the tensors `mean` and `std`.

    Raises TypeError for scalars without `size`.

    >>> normal(0.0, 1.0, (2, 3)).shape
    (2, 3)
    """
    backend = on(backend, device)
    expect_operands("normal: mean", mean)
    expect_operands("normal: std", std)
    if size is not None:
        return randn(size, backend=backend, generator=generator) * std + mean
    like: Any = mean * 1.0 + std * 0.0
    if isinstance(like, float):
        raise TypeError("normal of Python scalars without size: expected a shape, such as (3,)")
    return randn(*like.shape, dtype=like.dtype, backend=like.backend, generator=generator) * std + mean


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Random int64 indices (n, num_samples) or (num_samples,), with the weights in the rows of input (n, k) or (k,).

    Weights must be 0 or more, and need not sum to 1. Without `replacement` no index repeats. Raises ValueError for
    negative or non-finite weights, for rows with too few positive weights, and for other shapes.

    >>> multinomial(tensor([0.0, 1.0]), 1)
    tensor([1])
    """
    expect_float("multinomial", input)
    expect_ints("multinomial", num_samples=num_samples)
    if input.ndim not in (1, 2) or num_samples < 1 or (not replacement and num_samples > input.shape[-1]):
        raise ValueError(
            f"multinomial of {num_samples} from input of shape {input.shape}: expected (n, k) or (k,) and at least 1 "
            "sample, without replacement at most k"
        )
    weights = input.detach().double()
    wrong = (weights < 0) | ~weights.isfinite()
    expect_none(wrong, ValueError, "multinomial: a weight is negative, infinite or NaN: expected 0 or more")
    few = (weights > 0).sum(-1) < (1 if replacement else num_samples)
    expect_none(few, ValueError, "multinomial: a row has too few weights above 0")
    if replacement:
        ends = weights.cumsum(-1)
        shape = (*input.shape[:-1], num_samples)
        draws = rand(shape, dtype=float64, backend=input.backend, generator=generator) * ends[..., -1:]
        return (ends.unsqueeze(-2) <= draws.unsqueeze(-1)).sum(-1)
    # Sort exponential variables with these rates: index i comes first with a probability proportional to its weight.
    draws = -(-rand(input.shape, dtype=float64, backend=input.backend, generator=generator)).log1p()
    first = (weights > 0).where(draws / weights, float("inf"))
    return first.argsort(-1)[..., :num_samples].clone()


__all__: list[str] = ["multinomial", "normal", "randint", "randint_like", "randperm"]
