"""Functions and methods by PyTorch's names: one line each, with random arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..case import Pure
from ..draw import DTYPES, FLOATS, Array, Draw, Shape
from ..sides import Side, Tensor

Call = Callable[..., Any]
Line = Callable[[Draw, Array], Call]  # draws the arguments for an operand, and returns the call


def _first(values: Any) -> Any:
    """The first of several results, to compare its value and gradient."""
    return values[0] if isinstance(values, tuple) else values


def _method(name: str, *arguments: Any, **named: Any) -> Call:
    return lambda lib, x: getattr(x, name)(*arguments, **named)


def _function(name: str, *arguments: Any, **named: Any) -> Call:
    return lambda lib, x: getattr(lib.library, name)(x, *arguments, **named)


def _either(draw: Draw, name: str, *arguments: Any, **named: Any) -> Call:
    return (_method if draw.chance(0.5) else _function)(name, *arguments, **named)


def _dims(draw: Draw, ndim: int) -> Any:
    """None, one dim or several."""
    how = draw.choice(("all", "one", "one", "several"))
    if how == "all":
        return None
    return draw.dim(ndim) if how == "one" or not ndim else tuple(draw.some(range(ndim), 1))


def _some(draw: Draw, ndim: int) -> tuple[int, ...]:
    return tuple(draw.some(range(ndim), 1 if ndim else 0))


# --- reductions

REDUCTIONS: dict[str, Line] = {
    "std": lambda draw, x: _either(draw, "std", _dims(draw, x.ndim), correction=0, keepdim=draw.chance(0.5)),
    "norm": lambda draw, x: _either(
        draw, "norm", draw.choice((2, 1, 3, 0.5, -1, float("inf"), -float("inf"))), _dims(draw, x.ndim)
    ),
    "logsumexp": lambda draw, x: _either(draw, "logsumexp", draw.dim(x.ndim), keepdim=draw.chance(0.5)),
    "amax": lambda draw, x: _either(draw, "amax", draw.dim(x.ndim), draw.chance(0.5)),
    "amin": lambda draw, x: _either(draw, "amin", _some(draw, x.ndim), draw.chance(0.5)),
    "softmax": lambda draw, x: _either(draw, "softmax", draw.dim(x.ndim)),
    "log_softmax": lambda draw, x: _either(draw, "log_softmax", draw.dim(x.ndim)),
    "cumprod": lambda draw, x: _either(draw, "cumprod", draw.dim(x.ndim)),
    "nansum": lambda draw, x: _either(draw, "nansum", _dims(draw, x.ndim), draw.chance(0.5)),
    "nanmean": lambda draw, x: _either(draw, "nanmean", _dims(draw, x.ndim), draw.chance(0.5)),
    "median": lambda draw, x: lambda lib, x: _first(x.median(0)),
    "kthvalue": lambda draw, x: lambda lib, x: x.kthvalue(1, -1).values,
}


def reductions(draw: Draw) -> Pure:
    """Reductions of floats; with ties where both libraries treat them alike."""
    name = draw.choice(list(REDUCTIONS))
    values = "distinct" if name in ("median", "kthvalue") else draw.choice(("normal", "normal", "small"))
    least = 1 if name in ("amax", "amin", "median", "kthvalue", "norm") else 0
    shape = draw.shape(3, least=least, empty=0.0 if least else 0.05)
    x = draw.array(shape, draw.choice(FLOATS), values, laid=values != "distinct")
    order = 0 if name == "norm" and values == "small" else 1
    call = REDUCTIONS[name](draw, x)
    return Pure(lambda lib, x: call(lib, x), [x], order)


COUNTS: dict[str, Line] = {
    "any": lambda draw, x: _either(draw, "any", *_one_or_none(draw, x)),
    "all": lambda draw, x: _either(draw, "all", *_one_or_none(draw, x)),
    "count_nonzero": lambda draw, x: _either(draw, "count_nonzero", _dims(draw, x.ndim)),
    "isnan": lambda draw, x: _either(draw, "isnan"),
    "isinf": lambda draw, x: _either(draw, "isinf"),
    "isfinite": lambda draw, x: _either(draw, "isfinite"),
    "argsort": lambda draw, x: _either(draw, "argsort", dim=draw.dim(x.ndim), descending=draw.chance(0.5), stable=True),
    "isclose": lambda draw, x: lambda lib, x: lib.library.isclose(x, x.flip(0) if x.ndim else x, 0.1, 0.1, True),
    "nonzero": lambda draw, x: _either(draw, "nonzero"),
    "unique": lambda draw, x: _either(draw, "unique"),
    "eq": lambda draw, x: _either(draw, draw.choice(("eq", "ne", "lt", "le", "gt", "ge")), draw.choice((0, 1, 0.5))),
}


def _one_or_none(draw: Draw, x: Array) -> tuple[Any, ...]:
    return () if draw.chance(0.3) else (draw.dim(x.ndim), draw.chance(0.5))


def counts(draw: Draw) -> Pure:
    """Functions without gradients, of any dtype, with NaN and infinities."""
    name = draw.choice(list(COUNTS))
    dtype = draw.choice(DTYPES[1:] if name in ("argsort", "isclose") else DTYPES)
    x = draw.array(draw.shape(3, empty=0.1), dtype, draw.choice(("normal", "small", "special")))
    call = COUNTS[name](draw, x)
    return Pure(lambda lib, x: call(lib, x), [x], 0, name not in ("nonzero", "unique"))


# --- moving, splitting, joining


def _sizes(draw: Draw, total: int) -> list[int]:
    first = draw.integer(0, total)
    return [first, total - first]


def _with(function: Callable[..., Tensor], *arguments: Any) -> Call:
    return lambda lib, x: function(x, *arguments)


MOVES: dict[str, Line] = {
    "flip": lambda draw, x: _either(draw, "flip", _some(draw, x.ndim)),
    "roll": lambda draw, x: _either(draw, "roll", draw.integer(-5, 5), draw.dim(x.ndim)),
    "roll of all": lambda draw, x: _either(draw, "roll", draw.integer(-5, 5)),
    "roll of several": lambda draw, x: _either(draw, "roll", (1, -2), (0, -1)),
    "repeat": lambda draw, x: _method(
        "repeat", *[draw.integer(0, 2) for _ in range(max(x.ndim + draw.integer(0, 1), 1))]
    ),
    "tile": lambda draw, x: _method("tile", *[draw.integer(1, 2) for _ in range(draw.integer(1, 3))]),
    "repeat_interleave": lambda draw, x: _either(draw, "repeat_interleave", draw.integer(0, 3), draw.dim(x.ndim)),
    "tril": lambda draw, x: _either(draw, "tril", draw.integer(-2, 2)),
    "triu": lambda draw, x: _either(draw, "triu", draw.integer(-2, 2)),
    "diagonal": lambda draw, x: _either(draw, "diagonal", draw.integer(-2, 2), 0, -1),
    "diag_embed": lambda draw, x: _either(draw, "diag_embed", draw.integer(-2, 2)),
    "chunk": lambda draw, x: _with(lambda y, n, d: y.chunk(n, d)[-1], draw.integer(1, 4), draw.dim(x.ndim)),
    "split": lambda draw, x: _with(lambda y, n, d: y.split(n, d)[-1], draw.integer(0, 3), draw.dim(x.ndim)),
    "split to sizes": lambda draw, x: _with(lambda y, n: y.split(n)[1], _sizes(draw, x.shape[0])),
    "unbind": lambda draw, x: _with(lambda y, d: y.unbind(d)[-1], draw.dim(x.ndim)),
    "cat": lambda draw, x: lambda lib, y: lib.library.cat(y.chunk(2, -1), -1),
    "movedim": lambda draw, x: _either(draw, "movedim", draw.dim(x.ndim), draw.dim(x.ndim)),
    "movedims": lambda draw, x: _either(draw, "movedim", (0, 1), (-1, 0)),
    "swapaxes": lambda draw, x: _either(draw, "swapaxes", draw.dim(x.ndim), draw.dim(x.ndim)),
    "narrow": lambda draw, x: _either(draw, "narrow", 0, draw.integer(-1, 2), draw.integer(0, 2)),
    "select": lambda draw, x: _either(draw, "select", draw.dim(x.ndim), 0),
    "unflatten": lambda draw, x: _method("unflatten", -1, (-1, 1)),
    "t": lambda draw, x: _either(draw, "t"),
    "mT": lambda draw, x: lambda lib, x: x.mT,
    "hstack": lambda draw, x: lambda lib, x: lib.library.hstack((x, x)),
    "vstack": lambda draw, x: lambda lib, x: lib.library.vstack((x, x * 2)),
    "meshgrid": lambda draw, x: lambda lib, x: lib.library.meshgrid(x, x, indexing="xy")[1],
    "ravel": lambda draw, x: _either(draw, "ravel"),
    "diag": lambda draw, x: _either(draw, "diag", draw.integer(-1, 1)),
    "trace": lambda draw, x: _either(draw, "trace"),
    "square": lambda draw, x: _either(draw, "square"),
    "float": lambda draw, x: _method(draw.choice(("float", "double", "long", "bool"))),
}


def moves(draw: Draw) -> Pure:
    """Of any dtype and any number of dimensions, also those that raise errors."""
    name = draw.choice(list(MOVES))
    shape = draw.shape(4, least={"split to sizes": 1, "mT": 2}.get(name, 0))
    values = "small" if name == "float" else "normal"
    x = draw.array(shape, draw.choice(DTYPES[1:]), values)
    call = MOVES[name](draw, x)
    return Pure(lambda lib, x: call(lib, x), [x])


# --- selecting


def _index(draw: Draw, shape: Shape, dim: int) -> Array:
    """An index for gather, sometimes out of range or too long."""
    shape = shape or (1,)
    extents = [draw.integer(min(n, 1), n + (1 if draw.chance(0.02) else 0)) for n in shape]
    extents[dim] = draw.integer(0, 4)
    high = shape[dim] + (1 if draw.chance(0.03) and all(shape) else 0)
    if not high:
        extents[dim] = 0
    return np.asarray(draw.random.integers(0, max(high, 1), extents), np.int64)


def picked(draw: Draw) -> Pure:
    """gather, scatter_add, scatter of a value, take_along_dim, index_select and index_add."""
    dtype = draw.choice(FLOATS)
    x = draw.array(draw.shape(3, least=1), dtype)
    dim = draw.dim(x.ndim)
    name = draw.choice(("gather", "scatter_add", "scatter", "take_along_dim", "index_select", "index_add"))
    if name in ("index_select", "index_add"):
        n = draw.integer(0, 4) if x.shape[dim] else 0
        index = np.asarray(draw.random.integers(0, max(x.shape[dim], 1), n), np.int64)
        if name == "index_select":
            return Pure(lambda lib, x, i: x.index_select(dim, i), [x, index])
        y = draw.array(tuple(n if d == dim % x.ndim else k for d, k in enumerate(x.shape)), dtype)
        return Pure(lambda lib, x, i, y: x.index_add(dim, i, y, alpha=2), [x, index, y])
    index = _index(draw, x.shape, dim)
    if name == "take_along_dim":
        index = index[tuple(slice(1) if d != dim % x.ndim else slice(None) for d in range(x.ndim))]
        index %= max(x.shape[dim], 1)
    if name == "scatter_add":
        y = draw.array(index.shape, dtype)
        return Pure(lambda lib, x, i, y: x.scatter_add(dim, i, y), [x, index, y])
    if name == "scatter":
        return Pure(lambda lib, x, i: x.scatter(dim, i, 0.5), [x, index])
    if name == "take_along_dim":
        return Pure(lambda lib, x, i: x.take_along_dim(i, dim), [x, index])
    return Pure(lambda lib, x, i: x.gather(dim, i), [x, index])


def masks(draw: Draw) -> Pure:
    """masked_fill and masked_select."""
    shape = draw.shape(3)
    x = draw.array(draw.broadcastable(shape), draw.choice(FLOATS))
    mask = draw.array(draw.broadcastable(shape), "bool")
    if draw.chance(0.5):
        return Pure(lambda lib, x, mask: x.masked_select(mask), [x, mask], captures=False)
    value = draw.choice((0, 1.5, float("-inf"), True))
    return Pure(lambda lib, x, mask: x.masked_fill(mask, value), [x, mask])


def orders(draw: Draw) -> Pure:
    """sort and topk of values without ties, and their indices."""
    x = draw.array(draw.shape(3, empty=0.1), draw.choice(FLOATS), "distinct", laid=False)
    dim, flag, which = draw.dim(x.ndim), draw.chance(0.5), draw.integer(0, 1)
    order = 0 if which else 2
    if draw.chance(0.5):
        return Pure(lambda lib, x: x.sort(dim, descending=flag)[which], [x], order)
    k = draw.integer(0, 3)
    return Pure(lambda lib, x: x.topk(k, dim, flag)[which], [x], order)


# --- products

EQUATIONS = (
    *("ij,jk->ik", "ij,kj", "bij,bjk->bik", "i,i", "i,j->ij", "ii->i", "ij->ji", "ij->", "ij,ij->i", "...ij,jk->...ik"),
    *(
        "bhid,bhjd->bhij",
        "ij,jk,kl->il",
        "i,ij,j->",
        "...i->...",
        "ab,cb->ca",
        "bi,bj->bij",
        "iij,j->i",
        "ij,ik,il->jkl",
    ),
)


def equations(draw: Draw) -> Pure:
    """einsum."""
    equation = draw.choice(EQUATIONS)
    dtype = draw.choice(FLOATS)
    extents = {letter: draw.integer(1, 4) for letter in "abcdhijkl"}
    arrays = []
    for part in equation.partition("->")[0].split(","):
        lead = (2,) if "..." in part else ()
        arrays.append(draw.array((*lead, *[extents[n] for n in part.strip(".")]), dtype))
    return Pure(lambda lib, *x: lib.library.einsum(equation, *x), arrays)


PRODUCTS: dict[str, tuple[Shape, ...]] = {
    "dot": ((3,), (3,)),
    "mv": ((2, 3), (3,)),
    "mm": ((2, 3), (3, 4)),
    "bmm": ((2, 2, 3), (2, 3, 4)),
    "outer": ((2,), (3,)),
    "inner": ((2, 3), (4, 3)),
    "addmm": ((4,), (2, 3), (3, 4)),
    "baddbmm": ((2, 4), (2, 2, 3), (2, 3, 4)),
    "tensordot": ((2, 3, 4), (3, 4, 2)),
}


def products(draw: Draw) -> Pure:
    """Products of fixed shapes, sometimes with one that does not fit."""
    name = draw.choice(list(PRODUCTS))
    shapes = list(PRODUCTS[name])
    if draw.chance(0.1):
        shapes[-1] = (*shapes[-1], 5)
    dtype = draw.choice(FLOATS)
    arrays = [draw.array(shape, dtype) for shape in shapes]
    return Pure(lambda lib, *x: getattr(lib.library, name)(*x), arrays)


# --- quotients


def quotients(draw: Draw) -> Pure:
    """% and // of tensors and scalars, and division with rounding."""
    shape = draw.shape(3)
    x = draw.array(draw.broadcastable(shape), draw.choice(DTYPES), draw.choice(("normal", "small", "special")))
    how = draw.choice(("%", "%", "//", "floor", "trunc", "fraction"))
    if draw.chance(0.4):
        y: Any = draw.choice((1, 2, -3, 0.5, -1.5, 0.0, 0, True))
        right = draw.chance(0.6)
        order = 1 if right and how != "//" else 0  # PyTorch has no gradient for the others
        return Pure(lambda lib, x: _quotient(lib, how, *((x, y) if right else (y, x))), [x], order)
    y = draw.array(draw.broadcastable(shape), draw.choice(DTYPES), draw.choice(("positive", "small", "special")))
    return Pure(lambda lib, x, y: _quotient(lib, how, x, y), [x, y], 0 if how == "//" else 1)


def _quotient(lib: Side, how: str, x: Any, y: Any) -> Tensor:
    if how == "%":
        return x % y
    if how == "//" or not lib.is_tensor(x):
        return (x // y).detach()
    if how == "fraction":
        return x.frac()
    return x.div(y, rounding_mode=how)


FAMILIES = (reductions, counts, moves, picked, masks, orders, equations, products, quotients)
