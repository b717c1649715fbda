"""Writes in place: the values of the tensor and its views afterwards, and the gradients."""

from __future__ import annotations

import operator
from typing import Any

from ..case import Shown
from ..draw import DTYPES, FLOATS, Draw
from ..sides import Side, Tensor

METHODS = ("add_", "sub_", "mul_", "div_", "zero_", "fill_", "copy_", "clamp_", "lerp_")
OPERATORS = ("iadd", "isub", "imul", "itruediv")


def _value(draw: Draw, lib: Side, x: Tensor, dtypes: tuple[str, ...], minus: bool) -> Any:
    """A scalar or a tensor that broadcasts to x."""
    if draw.chance(0.5):
        return draw.choice((2, -1, 0.5, 3.0) if minus else (True, 2, -1, 0.5, 3.0))
    dtype = draw.choice(dtypes)
    if minus and dtype == "bool":
        dtype = "int64"  # the page lists the difference for bools
    return lib.tensor(draw.array(draw.broadcastable(tuple(x.shape)), dtype, "positive"))


def _lossy(lib: Side, x: Tensor, dtype: str) -> None:
    """stackgrad raises if x cannot represent this dtype, as the page says."""
    own = DTYPES.index(str(x.dtype).removeprefix("torch."))
    lib.refuse("lossy-write", own < DTYPES.index(dtype) and own < 2)


def _write(draw: Draw, lib: Side, x: Tensor, dtypes: tuple[str, ...]) -> Tensor:
    name = draw.choice((*METHODS, *OPERATORS))
    minus = name in ("sub_", "isub")
    if name in OPERATORS:
        return getattr(operator, name)(x, _value(draw, lib, x, dtypes, minus))
    if name == "zero_":
        return x.zero_()
    if name == "fill_":
        value = draw.choice((True, 2, 0.5))
        _lossy(lib, x, {bool: "bool", int: "int64", float: "float32"}[type(value)])
        return x.fill_(value)
    if name == "clamp_":
        return x.clamp_(draw.choice((-1, 0)), draw.choice((1, 0.5)))
    if name == "lerp_":
        end = lib.tensor(draw.array(tuple(x.shape), str(x.dtype).removeprefix("torch.")))
        return x.lerp_(end, draw.choice((0.0, 0.25, 1.0)))
    if name == "copy_":
        dtype = draw.choice(dtypes)
        source = lib.tensor(draw.array(draw.broadcastable(tuple(x.shape)), dtype))
        _lossy(lib, x, dtype)
        return x.copy_(source)
    if name in ("add_", "sub_") and draw.chance(0.4):
        return getattr(x, name)(_value(draw, lib, x, dtypes, minus), alpha=draw.choice((2, -1)))
    return getattr(x, name)(_value(draw, lib, x, dtypes, minus))


def plain(draw: Draw, lib: Side, show: Shown) -> None:
    """Writes to tensors without gradients, or to parts of them, of any dtype."""
    dtype = draw.choice(DTYPES)
    x = lib.tensor(draw.array(draw.shape(3, empty=0.05), dtype).copy())
    part = x
    if x.ndim and draw.chance(0.4):
        part = x[:: draw.integer(1, 2)]
    view = x.reshape(-1)
    for i in range(draw.integer(1, 3)):
        same = _write(draw, lib, part, (dtype, *DTYPES))
        show(f"same {i}", same is part)
        show(f"x {i}", lib.array(x))
        show(f"view {i}", lib.array(view))


def recorded(draw: Draw, lib: Side, show: Shown) -> None:
    """Writes between forward and backward: correct gradients, or an error if the old value is needed or x is a leaf."""
    x = lib.tensor(draw.array(draw.shape(2, least=1, empty=0), draw.choice(FLOATS), laid=False), requires_grad=True)
    y = {
        "mul": lambda: x * 2,
        "exp": lambda: x.exp(),
        "square": lambda: x * x,
        "tanh": lambda: x.tanh(),
        "leaf": lambda: x,
        "view": lambda: (x * 1).reshape(-1),
        "detached": lambda: x.detach(),
    }[draw.choice(("mul", "exp", "square", "tanh", "leaf", "view", "detached"))]()
    z = y * y if draw.chance(0.5) else y + 1
    if draw.chance(0.5):
        with lib.no_grad():
            _write(draw, lib, y, (str(x.dtype).removeprefix("torch."),))
    else:
        _write(draw, lib, y, (str(x.dtype).removeprefix("torch."),))
    show("x", lib.array(x))
    show("y", lib.array(y))
    which = draw.choice(("z", "y"))
    if which == "y":
        if not y.requires_grad:
            return
        z = y * 3
    z.sum().backward()
    show("gradient", lib.array(x.grad))


def descent(draw: Draw, lib: Side, show: Shown) -> None:
    """A training loop by hand, with each usual form of the update."""
    dtype = draw.choice(FLOATS)
    w = lib.tensor(draw.array((3,), dtype, laid=False), requires_grad=True)
    x = lib.tensor(draw.array((5, 3), dtype, laid=False))
    how = draw.choice(("-=", "sub_", "add_ alpha", "copy_", "data", "mul_"))
    for i in range(4):
        loss = ((x @ w - 1) ** 2).mean()
        loss.backward()
        with lib.no_grad():
            if how == "-=":
                w -= 0.1 * w.grad
            elif how == "sub_":
                w.sub_(0.1 * w.grad)
            elif how == "add_ alpha":
                w.add_(w.grad, alpha=-0.1)
            elif how == "copy_":
                w.copy_(w - 0.1 * w.grad)
            elif how == "mul_":
                w.mul_(0.9)
            else:
                w[...] = w - 0.1 * w.grad
        show(f"w {i}", lib.array(w))
        if draw.chance(0.8):
            w.grad = None
        else:
            w.grad.zero_()


FAMILIES = ()
PROGRAMS = (plain, recorded, descent)
