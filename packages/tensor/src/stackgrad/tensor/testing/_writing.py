"""Cases of in-place writes: by keys, by methods, through views and with a gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._backend import Backend
from .._dtypes import float64
from .._host import HostBackend
from .._optable import OPS
from .._optim import adam_numbers, adam_step, sgd_numbers, sgd_step
from .._tensor import Tensor
from .._types import Shape
from ._case import Case, check_gradient
from ._compare import expect_equal
from ._draw import REFERENCE, Draw, uniform
from ._keys import draw_key


def check_write(backend: Backend, draw: Draw) -> None:
    """x[key] = value for x of any layout changes the same elements as NumPy; the value may be a part of x."""
    dtype, shape = draw.dtype("bif"), draw.shape()
    sample, key = draw.sample(shape, uniform(dtype, -9, 9)).writable(), draw_key(draw, shape)
    base, array = backend.from_numpy(sample.base.copy()), sample.base.copy()
    x, part = Tensor(sample.view_on(backend, base), backend), np.asarray(sample.view_on(REFERENCE, array))
    if draw.one_in(3):
        flip = (slice(None, None, -1),) * len(shape)
        value, expected = x[flip][key], part[flip][key].copy()
    else:
        source = draw.sample(draw.narrowed(part[key].shape), uniform(dtype, -9, 9))
        value, expected = Tensor(source.on(backend), backend), source.numpy()
    before = x.version.count
    x[key] = value
    part[key] = expected
    expect_equal(f"x[{key}] = {value.shape} for x {sample}", backend, base, array)
    if x.version.count != before + 1:
        raise AssertionError(f"x[{key}] = value on {backend.name} counted {x.version.count - before} writes")


def check_in_place(backend: Backend, draw: Draw) -> None:
    """In-place methods match NumPy's operations, for any layouts, including operands that overlap."""
    dtype, shape = draw.dtype(), draw.shape()
    sample = draw.sample(shape, uniform(dtype)).writable()
    base, array = backend.from_numpy(sample.base.copy()), sample.base.copy()
    x, part = Tensor(sample.view_on(backend, base), backend), np.asarray(sample.view_on(REFERENCE, array))
    if draw.one_in(3):
        flip = (slice(None, None, -1),) * len(shape)
        y, other = x[flip], part[flip].copy()
    else:
        source = draw.sample(draw.narrowed(shape), uniform(dtype))
        y, other = Tensor(source.on(backend), backend), source.numpy()
    two = dtype.type(2)
    methods: tuple[tuple[str, Callable[[], Tensor], Callable[[], NDArray[Any]]], ...] = (
        ("add_", lambda: x.add_(y, alpha=2), lambda: part + two * other),
        ("sub_", lambda: x.sub_(y), lambda: part - other),
        ("mul_", lambda: x.mul_(y), lambda: part * other),
        ("div_", lambda: x.div_(2), lambda: part / two),
        ("copy_", lambda: x.copy_(y), lambda: np.broadcast_to(other, shape)),
        ("fill_", lambda: x.fill_(0.5), lambda: np.full(shape, 0.5)),
        ("zero_", lambda: x.zero_(), lambda: np.zeros(shape)),
        ("neg_", lambda: x.neg_(), lambda: -part),
        ("abs_", lambda: x.abs_(), lambda: np.abs(part)),
        ("clamp_", lambda: x.clamp_(-0.5, 1), lambda: part.clip(-0.5, 1)),
    )
    name, found, expected = draw.choice(methods)
    result = expected()
    if found() is not x:
        raise AssertionError(f"{name} on {backend.name} did not return the tensor itself")
    part[...] = result
    expect_equal(f"{name} of {sample}", backend, base, array)


def check_read_only(backend: Backend, draw: Draw) -> None:
    """Writes to read-only memory raise, whatever made it read-only and for any view of it."""
    if not isinstance(backend, HostBackend):
        return
    dtype, shape = draw.dtype(), draw.shape()
    sample = draw.sample(shape, uniform(dtype, 1, 2)).writable()
    array = sample.base.copy()
    base = Tensor(draw.choice(_read_only(array))(backend), backend)
    x, key = sample.view(base), draw_key(draw, shape)
    states = [Tensor(backend.full(shape, 1, dtype), backend) for _ in range(3)]
    writes: dict[str, Any] = {
        "x[key] = 0": lambda: x.__setitem__(key, 0),
        "x[x == x] = 0": lambda: x.__setitem__(x == x, 0),
        "add_": lambda: x.add_(1),
        "mul_": lambda: x.mul_(2),
        "copy_": lambda: x.copy_(states[0]),
        "zero_": lambda: x.zero_(),
        "clamp_": lambda: x.clamp_(max=0),
        "sgd_step": lambda: sgd_step([x], states[:1], None, sgd_numbers(0.1)),
        "momentum": lambda: sgd_step(states[:1], states[1:2], [x], sgd_numbers(0.1, 0.9)),
        "adam_step": lambda: adam_step(states[:1], states[1:2], [x], states[2:], adam_numbers(1, 0.1)),
    }
    for name, write in writes.items():
        try:
            write()
        except ValueError as error:
            if "read-only memory: clone() it first" not in str(error):
                raise
        else:
            raise AssertionError(f"{name} on read-only memory of {shape} on {backend.name} did not raise")
    expect_equal("read-only memory", backend, base.data, array)
    for i, state in enumerate(states):
        expect_equal(f"state {i}", backend, state.data, np.ones(shape, dtype))


def _read_only(array: NDArray[Any]) -> list[Any]:
    """Functions that put `array` on a host backend in read-only memory, each in another way."""

    def flagged(backend: Backend) -> Any:
        given = array.copy()
        given.flags.writeable = False
        return backend.from_numpy(given)

    def of_bytes(backend: Backend) -> Any:
        return backend.from_numpy(np.frombuffer(array.tobytes() or bytes(8), array.dtype)[: array.size]).reshape(
            array.shape
        )

    def of_a_tensor(backend: Backend) -> Any:
        return backend.from_numpy(Tensor(array.copy(), backend).requires_grad_().detach().numpy())

    return [flagged, of_bytes, of_a_tensor]


def check_view(backend: Backend, draw: Draw) -> None:
    """`view` succeeds if an array in C order allows a view, whatever the order in memory, and raises otherwise."""
    dtype, shape = draw.dtype(), draw.shape(least=1)
    sample = draw.sample(shape, uniform(dtype))
    # The memory of the result has the order of the operand, but as a result it counts as in C order.
    root = Tensor(backend.elementwise(OPS["neg"], sample.on(backend)), backend)
    model = np.array(-sample.numpy(), order="C")
    x, array = root, model
    for _ in range(draw.integer(0, 3)):
        x, array = _step(draw, x, array)
    wanted = _draw_shape(draw, array.shape)
    expected = array.reshape(wanted)
    try:
        view = x.view(wanted)
    except ValueError as error:
        if not array.size or np.shares_memory(expected, model):
            raise AssertionError(f"view of {x.shape} as {wanted} of {sample} on {backend.name}: {error}") from None
        return
    if not array.size:
        return
    if not np.shares_memory(expected, model):
        raise AssertionError(f"view of {x.shape} as {wanted} of {sample} on {backend.name} did not raise")
    expect_equal("view", backend, view.data, expected)
    other, count = x[...] if draw.one_in(2) else x.detach(), root.version.count
    view.mul_(3)
    expected *= 3
    root.add_(1)
    model += 1
    other[...] = 7
    array[...] = 7
    for name, found, right in (("root", root, model), ("view", view, expected), ("other", other, array)):
        expect_equal(f"{name} after writes to both of {sample}", backend, found.data, right)
    if view.version is not root.version or root.version.count != count + 3:
        raise AssertionError(f"view of {shape} on {backend.name} does not share the count of writes")


def _step(draw: Draw, x: Tensor, array: NDArray[Any]) -> tuple[Tensor, NDArray[Any]]:
    """The same random view of both."""
    kind, n = draw.choice(("permute", "slice", "unsqueeze", "detach")), array.ndim
    if kind == "permute":
        dims = tuple(draw.rng.permutation(n).tolist())
        return x.permute(dims), array.transpose(dims)
    if kind == "slice" and array.size and n:
        chosen = draw.choice((0, slice(None, None, 2), slice(1, None), slice(None, None, -1)))
        key: tuple[Any, ...] = (*[slice(None)] * draw.dim(n), chosen, ...)
        return x[key], array[key]
    if kind == "unsqueeze":
        at = draw.integer(0, n)
        return x.unsqueeze(at), np.expand_dims(array, at)
    return x.detach(), array


def _draw_shape(draw: Draw, shape: Shape) -> Shape:
    """Another shape of the same size: with adjacent dimensions merged, or one dimension split."""
    out = list(shape)
    for _ in range(draw.integer(0, 2)):
        if len(out) > 1:
            at = draw.integer(0, len(out) - 2)
            out[at : at + 2] = [out[at] * out[at + 1]]
    if out and draw.one_in(2):
        at = draw.dim(len(out))
        rows = draw.choice([n for n in range(1, out[at] + 1) if out[at] % n == 0][:10] or [1])
        out[at : at + 1] = [rows, out[at] // rows]
    return tuple(out)


def check_write_gradient(order: int, backend: Backend, draw: Draw) -> None:
    """The gradient through x[key] = value, for a tensor or a view of one, matches central differences."""
    draw = draw.small()
    shape = draw.shape()
    sample, key = draw.sample(shape, uniform(float64)).writable(), draw_key(draw, shape)
    value = draw.sample(draw.narrowed(sample.numpy()[key].shape), uniform(float64))

    def write(base: Tensor, source: Tensor) -> Tensor:
        whole = base * 1
        sample.view(whole)[key] = value.view(source)
        return whole * whole

    check_gradient(write, [sample.leaf(backend), value.leaf(backend)], order)


def check_in_place_gradient(order: int, backend: Backend, draw: Draw) -> None:
    """The gradient through in-place methods, for a tensor or a view of one, matches central differences."""
    draw = draw.small()
    shape = draw.shape()
    sample = draw.sample(shape, uniform(float64)).writable()
    other = draw.sample(draw.narrowed(shape), uniform(float64, 0.5, 2))
    name = draw.choice(("add_", "sub_", "mul_", "div_", "exp_", "copy_", "lerp_"))

    def change(base: Tensor, operand: Tensor) -> Tensor:
        whole, y = base * 1, other.view(operand)
        part, before = sample.view(whole), sample.view(whole)
        if name == "exp_":
            part.exp_()
        elif name == "lerp_":
            part.lerp_(y.expand(*shape), 0.25)
        else:
            getattr(part, name)(y)
        return (whole * whole).sum() + (before * y).sum()

    check_gradient(change, [sample.leaf(backend), other.leaf(backend)], order)


WRITING_CASES: tuple[Case, ...] = (
    Case("write", "values", check_write),
    Case("in-place", "values", check_in_place),
    Case("read-only", "values", check_read_only),
    Case("view", "values", check_view),
    Case("write", "gradient", partial(check_write_gradient, 1)),
    Case("write", "second", partial(check_write_gradient, 2)),
    Case("in-place", "gradient", partial(check_in_place_gradient, 1)),
    Case("in-place", "second", partial(check_in_place_gradient, 2)),
)
