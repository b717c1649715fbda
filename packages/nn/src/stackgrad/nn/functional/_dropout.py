"""Dropout."""

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_dims, expect_tensors


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Zero each element with probability `p` and divide the others by 1 - p.

    Source: Srivastava et al., "Dropout", JMLR 2014. The mask depends only on the generator and on
    each element's logical index, so it is the same on every backend and in every memory layout.

    Args:
        input: any shape, a float dtype.
        p: the probability of a zero; 0 returns the input, 1 returns zeros.
        training: if false, the result is the input.
        inplace: whether the result is written over the input.
        generator: the source of the mask; the default generator if None.

    Raises:
        ValueError: a `p` outside [0, 1].

    >>> F.dropout(tensor([1.0, 2.0]), 0.5, training=False)
    tensor([1., 2.])
    """
    expect_tensors("dropout", input=input)
    if check_probability(p) == 0 or not training:
        return input
    dropped = sg.dropout(input, p, generator=generator)
    return input.copy_(dropped) if inplace else dropped


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`dropout` of whole channels of (batch, channels, width).

    >>> F.dropout1d(ones(1, 2, 3), 0.5).shape
    (1, 2, 3)
    """
    return _dropout_channels("dropout1d", input, 3, p, training, inplace, generator)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """`dropout` of whole channels of (batch, channels, height, width).

    Source: Tompson et al., "Efficient object localization using convolutional networks", arXiv:1411.4280.

    Args:
        input: (batch, channels, height, width), a float dtype.
        p, training, inplace, generator: as in `dropout`.

    Raises:
        ValueError: a wrong number of dimensions, a `p` outside [0, 1].

    >>> F.dropout2d(ones(1, 2, 3, 3), 0.5).shape
    (1, 2, 3, 3)
    """
    return _dropout_channels("dropout2d", input, 4, p, training, inplace, generator)


def _dropout_channels(
    function: str, input: Tensor, ndim: int, p: float, training: bool, inplace: bool, generator: Generator | None
) -> Tensor:
    expect_tensors(function, input=input)
    expect_dims(function, input, "batch", "channels", *(("height", "width") if ndim == 4 else ("width",)))
    if check_probability(p) == 0 or not training:
        return input
    channels = sg.ones(*input.shape[:2], *(1,) * (ndim - 2), dtype=input.dtype, backend=input.backend)
    kept = sg.dropout(channels, p, generator=generator)
    return input.mul_(kept) if inplace else input * kept


def check_probability(p: float) -> float:
    """`p`; ValueError if it is not a probability, TypeError if it is not a number."""
    try:
        if not 0 <= p <= 1:
            raise ValueError(f"dropout: p must be between 0 and 1; got {p}")
    except TypeError:
        raise TypeError(f"dropout: p must be a number between 0 and 1; got {type(p).__name__}") from None
    return p
