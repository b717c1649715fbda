"""Reductions: dims, keepdim, empty tensors, scalars, ties and NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..case import Pure
from ..differences import intended
from ..draw import DTYPES, FLOATS, Draw
from ..sides import Side, Tensor


def _named(draw: Draw, dim: Any, keepdim: bool) -> dict[str, Any]:
    """The arguments by PyTorch's or NumPy's names."""
    if dim is None and draw.chance(0.5):
        return {}
    return {draw.choice(("dim", "dim", "axis")): dim, draw.choice(("keepdim", "keepdim", "keepdims")): keepdim}


def _dims(draw: Draw, ndim: int) -> Any:
    """None, one dim or several."""
    how = draw.choice(("all", "one", "one", "several"))
    if how == "all":
        return None
    if how == "one" or not ndim:
        return draw.dim(ndim) if draw.chance(0.95) else ndim + 1
    dims = draw.some(range(ndim), draw.integer(0, 1))
    return tuple(d - ndim if draw.chance(0.3) else d for d in dims)


def sums(draw: Draw) -> Pure:
    """sum and mean."""
    name = draw.choice(("sum", "mean"))
    dtype = draw.choice(FLOATS if name == "mean" and draw.chance(0.9) else DTYPES)
    x = draw.array(draw.shape(empty=0.15), dtype, draw.choice(("normal", "small", "special")))
    arguments = _named(draw, _dims(draw, x.ndim), draw.chance(0.5))
    return Pure(lambda lib, x: getattr(x, name)(**arguments), [x])


def variances(draw: Draw) -> Pure:
    """var with a correction."""
    x = draw.array(draw.shape(empty=0.1), draw.choice(FLOATS))
    dim, correction, keepdim = _dims(draw, x.ndim), draw.choice((0, 1, 1, 2)), draw.chance(0.5)
    return Pure(lambda lib, x: lib.var(x, dim, correction, keepdim), [x])


def products(draw: Draw) -> Pure:
    """prod of all or along one dim, with zeros."""
    x = draw.array(draw.shape(3, empty=0.1), draw.choice(DTYPES), draw.choice(("normal", "small", "small", "special")))
    if x.dtype == np.float32 and x.size > 30:
        intended("exact-sums")  # a long product may overflow on the way
        x = x.astype(np.float64)
    dim, keepdim = draw.dim(x.ndim), draw.chance(0.5)
    order = 2
    if not np.isfinite(x).all():
        intended("product-factors")
        order = 0
    if draw.chance(0.4):
        return Pure(lambda lib, x: x.prod(), [x], order)
    return Pure(lambda lib, x: x.prod(dim, keepdim=keepdim), [x], order)


def extremes(draw: Draw) -> Pure:
    """max and min: only the values; the first of equal values gets the gradient."""
    name = draw.choice(("max", "min"))
    x = draw.array(draw.shape(empty=0.1), draw.choice(DTYPES), draw.choice(("normal", "small", "special")))
    dim, keepdim = _dims(draw, x.ndim), draw.chance(0.5)
    nans = {"gradient": "max-of-nan"} if isinstance(dim, tuple) else {}
    return Pure(lambda lib, x: lib.extreme(name, x, dim, keepdim), [x], nans=nans)


def positions(draw: Draw) -> Pure:
    """argmax and argmin: the first of equal values, or the first NaN."""
    name = draw.choice(("argmax", "argmin"))
    dtype = draw.choice(DTYPES[1:])
    x = draw.array(draw.shape(empty=0.1), dtype, draw.choice(("normal", "small", "special")))
    dim = None if draw.chance(0.3) else draw.dim(x.ndim)
    keepdim = draw.chance(0.5)
    return Pure(lambda lib, x: getattr(x, name)(dim=dim, keepdim=keepdim), [x])


def running(draw: Draw) -> Pure:
    """cumsum."""
    x = draw.array(draw.shape(empty=0.1), draw.choice(DTYPES), draw.choice(("normal", "special")))
    dim = draw.dim(x.ndim)
    return Pure(lambda lib, x: x.cumsum(dim), [x])


def standardized(draw: Draw) -> Pure:
    """A reduction, broadcast to the original shape."""
    x = draw.array(draw.shape(3, least=1, empty=0), draw.choice(FLOATS))
    dim = draw.dim(x.ndim)
    how = draw.choice(("mean", "sum", "norm", "logsumexp"))

    def apply(lib: Side, x: Tensor) -> Tensor:
        if how == "mean":
            return x - x.mean(dim, keepdim=True)
        if how == "sum":
            return x.exp() / x.exp().sum(dim, keepdim=True)
        if how == "norm":
            return x / ((x * x).sum(dim, keepdim=True) + 0.1).sqrt()
        return x.exp().sum(dim, keepdim=True).log()

    return Pure(apply, [x])


FAMILIES = (sums, variances, products, extremes, positions, running, standardized)
