"""Shapes: views and copies with any strides, and writes through them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..case import Pure, Shown
from ..draw import DTYPES, FLOATS, Draw, Shape
from ..sides import Side, Tensor

Step = Callable[[Tensor], Tensor]


def _factored(draw: Draw, size: int) -> list[int]:
    """A random shape with `size` elements."""
    shape: list[int] = []
    while size > 1 and len(shape) < 3:
        divisors = [d for d in range(1, size + 1) if size % d == 0]
        shape.append(draw.choice(divisors))
        size //= shape[-1]
    return [*shape, size] if size != 1 or draw.chance(0.3) else shape


def reshaping(draw: Draw, shape: Shape, name: str) -> Step:
    """reshape or view to a random shape, perhaps with an extent of -1, sometimes one that does not fit."""
    size = math.prod(shape)
    new = _factored(draw, size) if size else list(shape)
    if new and draw.chance(0.3):
        new[draw.integer(0, len(new) - 1)] = -1
    if draw.chance(0.03):
        new = [*new, 2]
    return lambda x: getattr(x, name)(*new) if new else getattr(x, name)(())


def step(draw: Draw, lib: Side, shape: Shape) -> Step:
    """A random view or copy of a tensor with this shape."""
    n = len(shape)
    how = draw.choice(
        (
            *("reshape", "view", "permute", "transpose", "T", "expand", "squeeze"),
            *("unsqueeze", "flatten", "slice", "contiguous", "clone"),
        )
    )
    if how in ("reshape", "view"):
        return reshaping(draw, shape, how)
    if how == "permute":
        order = [int(i) for i in draw.random.permutation(n)]
        order = [i - n if draw.chance(0.2) else i for i in order]
        if draw.chance(0.03):
            order = order[1:]
        return lambda x: x.permute(*order) if order else x.permute(())
    if how == "transpose":
        a, b = draw.dim(n), draw.dim(n)
        return lambda x: x.transpose(a, b)
    if how == "T":
        return lambda x: x.T if x.ndim == 2 else x
    if how == "expand":
        wider = [draw.choice((-1, m)) if m != 1 else draw.choice((-1, 1, 2, 3)) for m in shape]
        added = [draw.integer(0, 2) for _ in range(draw.choice((0, 0, 1)))]
        extents = [*added, *wider]
        if draw.chance(0.03):
            extents = [5, *extents[1:]]
        return lambda x: x.expand(*extents) if extents else x.expand(())
    if how == "squeeze":
        dim: Any = draw.choice((None, draw.dim(n), tuple(draw.some(range(n)))))
        return lambda x: x.squeeze() if dim is None else x.squeeze(dim)
    if how == "unsqueeze":
        at = draw.integer(-n - 1, n)
        return lambda x: x.unsqueeze(at)
    if how == "flatten":
        ends = (draw.dim(n), draw.dim(n))
        return lambda x: x.flatten(*ends)
    if how == "slice":
        start = draw.integer(0, 1)
        return lambda x: x[start:] if x.ndim else x
    if how == "clone":
        return lambda x: lib.settled(x.clone())
    return lambda x: x.contiguous()


def chains(draw: Draw) -> Pure:
    """A chain of views and copies, chosen as the shapes become known."""
    x = draw.array(draw.shape(empty=0.08), draw.choice((*DTYPES, *FLOATS)))
    count, seed = draw.integer(1, 4), draw.integer(0, 10**9)

    def apply(lib: Side, x: Tensor) -> Tensor:
        steps = Draw("steps", seed)
        for _ in range(count):
            x = step(steps, lib, tuple(x.shape))(x)
            if steps.chance(0.2):
                x = lib.settled(x * x)
        return x if x.dtype in (lib.dtype("bool"), lib.dtype("int64")) else x * x

    return Pure(apply, [x])


def written(draw: Draw, lib: Side, show: Shown) -> None:
    """Writes through a chain of views: the values of the base tensor afterwards."""
    x = lib.tensor(draw.array(draw.shape(empty=0.03), draw.choice(FLOATS)).copy())
    y = x
    for i in range(draw.integer(1, 3)):
        y = step(draw, lib, tuple(y.shape))(y)
        show(f"view {i}", lib.array(y))
    z = x.reshape(-1)
    value = draw.integer(5, 9)
    if draw.chance(0.5):
        y[...] = value
    else:
        y.add_(value)
    show("y", lib.array(y))
    show("x", lib.array(x))
    show("flat", lib.array(z))


def of_results(draw: Draw) -> Pure:
    """A view of the result of a layer or a reduction, with whatever strides it has."""
    x = draw.array((2, draw.choice((2, 4, 8)), 4, 4), draw.choice(FLOATS))
    how = draw.choice(("conv", "max", "avg", "norm", "softmax", "relu", "sum", "permute"))
    last = draw.choice(("view", "view", "flatten", "reshape"))
    dim, seed = draw.choice((1, 2, 3)), draw.integer(0, 10**6)

    def apply(lib: Side, x: Tensor) -> Tensor:
        F, channels = lib.F, int(x.shape[1])
        weight = Draw("weight", seed).array((4, channels, 3, 3), str(x.dtype).removeprefix("torch."), laid=False)
        made = {
            "conv": lambda: F.conv2d(x, lib.tensor(weight), None, 1, 1),
            "max": lambda: F.max_pool2d(x, 2),
            "avg": lambda: F.avg_pool2d(x, 2),
            "norm": lambda: x / (x * x).sum((0, 2, 3), keepdim=True),
            "softmax": lambda: F.softmax(x, dim),
            "relu": lambda: x.relu(),
            "sum": lambda: x.sum(dim),
            "permute": lambda: x.permute(0, 2, 3, 1).relu(),
        }[how]()
        y = lib.settled(made)
        if last == "flatten":
            return y.flatten(1)
        return y.reshape(2, -1) if last == "reshape" else y.view(2, -1)

    return Pure(apply, [x], order=1)


def joined(draw: Draw) -> Pure:
    """concatenate and stack, with mixed dtypes."""
    name = draw.choice(("concatenate", "stack"))
    shape = draw.shape(3, least=0 if name == "stack" else 1, empty=0.1)
    dim = draw.dim(len(shape) + (name == "stack"))
    arrays = []
    for _ in range(draw.integer(1, 3)):
        extents = list(shape)
        if name == "concatenate" and shape:
            extents[dim] = draw.integer(0, 3)
        if shape and draw.chance(0.03):
            extents[draw.integer(0, len(shape) - 1)] += 1
        arrays.append(draw.array(tuple(extents), draw.choice((*DTYPES, *FLOATS)), draw.choice(("normal", "special"))))
    return Pure(lambda lib, *tensors: getattr(lib, name)(tensors, dim), arrays)


FAMILIES = (chains, chains, of_results, joined)
PROGRAMS = (written,)
