"""Cases of sorting, and of methods and functions that select, move and multiply elements.

Each is compared with NumPy, called and captured, and differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .._backend import Backend
from .._capture import capture
from .._dtypes import float64, int64
from .._einsum import einsum
from .._tensor import Tensor
from .._types import HostArray
from ._case import Case, check_gradient
from ._compare import expect_close, expect_equal, sum_bound
from ._draw import REFERENCE, Draw, Sample, uniform


def check_argsort(backend: Backend, draw: Draw) -> None:
    """The order is that of NumPy's stable sort, for ties, NaN and infinities, in every layout."""
    dtype, shape = draw.dtype("if"), draw.shape(2, 2)
    values = uniform(dtype, -2, 2, () if dtype.kind == "i" else (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0))
    x, descending = draw.sample(shape, values), draw.one_in(2)
    expected = REFERENCE.argsort(x.numpy(), descending)
    expect_equal(
        f"argsort of {x}, descending {descending}", backend, backend.argsort(x.on(backend), descending), expected
    )


class Program(NamedTuple):
    """A function of tensors, the same function of NumPy arrays in float64 or int64, and operands.

    `terms`: how many products are summed per element; 0 if nothing is rounded.
    """

    function: Callable[..., Tensor]
    numpy: Callable[..., HostArray]
    operands: Sequence[Sample]
    terms: int = 0


Builder = Callable[[Draw, np.dtype[Any]], Program]


def _fixed(draw: Draw, array: HostArray) -> Callable[[Tensor], Tensor]:
    """A function that puts an int64 or bool array on the backend of a tensor, in a random layout."""
    sample = draw.sample(array.shape, lambda rng, shape: np.zeros(shape, array.dtype)).writable()
    base = sample.base.copy()
    np.asarray(sample.view_on(REFERENCE, base))[...] = array
    return lambda x: x.new(sample.view_on(x.backend, x.backend.from_numpy(base.copy())))


def _index_like(draw: Draw, shape: Sequence[int], dim: int) -> HostArray:
    """Indices along `dim` with the same count of dimensions, and no larger extents except along `dim`."""
    extents = [draw.integer(0 if n == 0 else 1, n) for n in shape]
    extents[dim] = draw.extent() if shape[dim] else 0
    return draw.rng.integers(0, max(shape[dim], 1), extents).astype(int64)


def _full_index(dim: int, index: HostArray) -> tuple[HostArray, ...]:
    """The NumPy index of a gather."""
    grid: list[HostArray] = list(np.indices(index.shape))
    return (*grid[:dim], index, *grid[dim + 1 :])


def gather(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1)
    dim = draw.dim(len(shape))
    index = _index_like(draw, shape, dim)
    to_tensor = _fixed(draw, index)
    return Program(
        lambda x: x.gather(dim, to_tensor(x)),
        lambda x: x[_full_index(dim, index)],
        [draw.sample(shape, uniform(dtype, -4, 4))],
    )


def scatter(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1)
    dim = draw.dim(len(shape))
    index = _index_like(draw, shape, dim)
    to_tensor = _fixed(draw, index)
    more = [n + draw.integer(0, 1) for n in index.shape]
    cut = tuple(map(slice, index.shape))

    def numpy(x: HostArray, y: HostArray) -> HostArray:
        x = x.copy()
        for at, value in zip(np.ndindex(index.shape), y[cut].reshape(-1), strict=True):
            x[(*at[:dim], index[at], *at[dim + 1 :])] = value
        return x

    operands = [draw.sample(shape, uniform(dtype, -4, 4)), draw.sample(tuple(more), uniform(dtype, -4, 4))]
    return Program(lambda x, y: x.scatter(dim, to_tensor(x), y), numpy, operands)


def scatter_add(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1)
    dim = draw.dim(len(shape))
    index = _index_like(draw, shape, dim)
    to_tensor = _fixed(draw, index)

    def numpy(x: HostArray, y: HostArray) -> HostArray:
        x = x.copy()
        np.add.at(x, _full_index(dim, index), y)
        return x

    operands = [draw.sample(shape, uniform(dtype, -4, 4)), draw.sample(index.shape, uniform(dtype, -4, 4))]
    return Program(lambda x, y: x.scatter_add(dim, to_tensor(x), y), numpy, operands, 1 + index.size)


def index_add(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1)
    dim = draw.dim(len(shape))
    count = draw.extent() if shape[dim] else 0
    index = draw.rng.integers(0, max(shape[dim], 1), count).astype(int64)
    to_tensor = _fixed(draw, index)

    def numpy(x: HostArray, y: HostArray) -> HostArray:
        x = x.copy()
        np.add.at(np.moveaxis(x, dim, 0), index, np.moveaxis(y, dim, 0))
        return x

    of_source = (*shape[:dim], count, *shape[dim + 1 :])
    operands = [draw.sample(shape, uniform(dtype, -4, 4)), draw.sample(of_source, uniform(dtype, -4, 4))]
    return Program(lambda x, y: x.index_add(dim, to_tensor(x), y), numpy, operands, 1 + count)


def index_select(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1)
    dim = draw.dim(len(shape))
    index = draw.rng.integers(0, max(shape[dim], 1), draw.extent() if shape[dim] else 0).astype(int64)
    to_tensor = _fixed(draw, index)
    operands = [draw.sample(shape, uniform(dtype, -4, 4))]
    return Program(lambda x: x.index_select(dim, to_tensor(x)), lambda x: np.take(x, index, dim), operands)


def masked_fill(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shapes = draw.shapes(2)
    mask = draw.rng.random(shapes[1]) < 0.5
    to_tensor, value = _fixed(draw, mask), draw.integer(-2, 2)
    operands = [draw.sample(shapes[0], uniform(dtype, -4, 4))]
    return Program(lambda x: x.masked_fill(to_tensor(x), value), lambda x: np.where(mask, value, x), operands)


def _distinct(draw: Draw, dtype: np.dtype[Any], shape: Sequence[int]) -> Sample:
    """Distinct values, whose order does not change in finite differences."""
    return draw.sample(tuple(shape), lambda rng, n: np.asarray(rng.permutation(int(np.prod(n))).reshape(n), dtype))


def sorted_values(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1)
    dim, descending = draw.dim(len(shape)), draw.one_in(2)

    def numpy(x: HostArray) -> HostArray:
        return np.asarray(np.flip(np.sort(x, dim), dim) if descending else np.sort(x, dim))

    return Program(lambda x: x.sort(dim, descending).values, numpy, [_distinct(draw, dtype, shape)])


def topk(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1)
    dim, largest = draw.dim(len(shape)), draw.one_in(2)
    k = draw.integer(0, shape[dim])

    def numpy(x: HostArray) -> HostArray:
        order = np.argsort(-x if largest else x, dim, kind="stable")
        return np.take_along_axis(x, np.take(order, range(k), dim), dim)

    return Program(lambda x: x.topk(k, dim, largest).values, numpy, [_distinct(draw, dtype, shape)])


def median(draw: Draw, dtype: np.dtype[Any]) -> Program:
    shape = draw.shape(1, least=1)
    dim, keepdim = draw.dim(len(shape)), draw.one_in(2)
    at = (shape[dim] - 1) // 2

    def numpy(x: HostArray) -> HostArray:
        return np.take(np.sort(x, dim), [at] if keepdim else at, dim)

    return Program(lambda x: x.median(dim, keepdim).values, numpy, [_distinct(draw, dtype, shape)])


def moved(draw: Draw, dtype: np.dtype[Any]) -> Program:
    """flip, roll, repeat, tile, repeat_interleave, movedim."""
    shape = draw.shape(1, 3)
    n, dim, count = len(shape), draw.dim(len(shape)), draw.integer(0, 3)
    dims = draw.dims(n)
    shifts = tuple(draw.integer(-4, 4) for _ in dims)
    times = tuple(draw.integer(0, 2) for _ in range(n + draw.integer(0, 1)))
    order = tuple(draw.rng.permutation(n).tolist())
    choices: tuple[tuple[Callable[..., Tensor], Callable[..., HostArray]], ...] = (
        (lambda x: x.flip(dims), lambda x: np.flip(x, dims)),
        (lambda x: x.roll(shifts, dims), lambda x: np.roll(x, shifts, dims)),
        (lambda x: x.roll(count), lambda x: np.roll(x, count)),
        (lambda x: x.repeat(*times), lambda x: np.tile(x, times)),
        (lambda x: x.tile(count), lambda x: np.tile(x, count)),
        (lambda x: x.repeat_interleave(count, dim), lambda x: np.repeat(x, count, dim)),
        (lambda x: x.movedim(range(n), order), lambda x: np.moveaxis(x, range(n), order)),
    )
    function, numpy = draw.choice(choices)
    return Program(function, numpy, [draw.sample(shape, uniform(dtype, -4, 4))])


def triangles(draw: Draw, dtype: np.dtype[Any]) -> Program:
    """tril, triu, diagonal, diag_embed."""
    shape, offset = draw.shape(2, 4), draw.integer(-3, 3)
    a, b = draw._random.sample(range(len(shape)), 2)

    def embedded(x: HostArray) -> HostArray:
        m = x.shape[-1] + abs(offset)
        out = np.zeros((*x.shape[:-1], m, m), x.dtype)
        rows = np.arange(x.shape[-1])
        out[..., rows + max(-offset, 0), rows + max(offset, 0)] = x
        return out

    choices: tuple[tuple[Callable[..., Tensor], Callable[..., HostArray]], ...] = (
        (lambda x: x.tril(offset), lambda x: np.tril(x, offset)),
        (lambda x: x.triu(offset), lambda x: np.triu(x, offset)),
        (lambda x: x.diagonal(offset, a, b), lambda x: np.diagonal(x, offset, a, b)),
        (lambda x: x.diag_embed(offset), embedded),
    )
    function, numpy = draw.choice(choices)
    return Program(function, numpy, [draw.sample(shape, uniform(dtype, -4, 4))])


def _equation(draw: Draw, count: int) -> tuple[str, list[tuple[int, ...]]]:
    """An equation of `count` operands, and their shapes."""
    extents = {letter: draw.integer(1, min(draw.limits.extent, 3)) for letter in "ijkl"}
    parts = ["".join(draw.choice("ijkl") for _ in range(draw.integer(0, 3))) for _ in range(count)]
    known = sorted(set("".join(parts)))
    shapes = [tuple(extents[letter] for letter in part) for part in parts]
    if draw.one_in(3):
        lead = draw.integer(1, 2), draw.integer(1, 3)
        dotted = [draw.one_in(2) for _ in parts]
        parts = [f"...{part}" if dots else part for part, dots in zip(parts, dotted, strict=True)]
        shapes = [
            (*lead[draw.integer(0, 2) :], *shape) if dots else shape for shape, dots in zip(shapes, dotted, strict=True)
        ]
    result = "".join(draw._random.sample(known, draw.integer(0, len(known))))
    dots = "..." if any(part.startswith(".") for part in parts) else ""
    return ",".join(parts) + (f"->{dots}{result}" if dots or not draw.one_in(4) else ""), shapes


def sums_of_products(draw: Draw, dtype: np.dtype[Any]) -> Program:
    """einsum of one to three operands: sums, diagonals, broadcasting."""
    equation, shapes = _equation(draw, draw.integer(1, 3))
    operands = [draw.sample(shape, uniform(dtype, -2, 2)) for shape in shapes]
    return Program(
        lambda *x: einsum(equation, *x), lambda *x: np.asarray(np.einsum(equation, *x)), operands, terms=3**4
    )


BUILDERS: dict[str, Builder] = {
    "gather": gather,
    "scatter": scatter,
    "scatter_add": scatter_add,
    "index_add": index_add,
    "index_select": index_select,
    "masked_fill": masked_fill,
    "sort": sorted_values,
    "topk": topk,
    "median": median,
    "moved": moved,
    "triangles": triangles,
    "einsum": sums_of_products,
}


def check_program(build: Builder, backend: Backend, draw: Draw) -> None:
    """The values match NumPy's, and those of a captured call are bitwise equal."""
    dtype = draw.dtype("iff")
    program = build(draw, dtype)
    arrays = [sample.numpy() for sample in program.operands]
    tensors = [Tensor(sample.on(backend), backend) for sample in program.operands]
    found = program.function(*tensors)
    wide = [a.astype(float64) if dtype.kind == "f" else a for a in arrays]
    expected = program.numpy(*wide).astype(dtype)
    bound = sum_bound(program.terms, program.terms * 64.0, dtype) if program.terms else 0.0
    what = f"{build.__name__} of {program.operands}"
    expect_close(what, backend, found.data, expected, bound)
    if not backend.captures or draw.integer(0, 3):
        return
    called = np.array(backend.to_numpy(found.data))
    captured = capture(lambda *given: program.function(*given).clone())
    for _ in range(3):
        out = captured(*[Tensor(sample.on(backend), backend) for sample in program.operands])
        expect_equal(f"{what}, captured", backend, out.data, called)


def check_program_gradient(build: Builder, order: int, backend: Backend, draw: Draw) -> None:
    """Derivatives match central differences."""
    program = build(draw.small(), float64)
    leaves = [sample.leaf(backend) for sample in program.operands]

    def function(*given: Tensor) -> Tensor:
        return program.function(*[sample.view(x) for sample, x in zip(program.operands, given, strict=True)])

    check_gradient(function, leaves, order)


ORDER_CASES: tuple[Case, ...] = (
    Case("argsort", "values", check_argsort),
    *(Case(name, "values", partial(check_program, build)) for name, build in BUILDERS.items()),
    *(Case(name, "gradient", partial(check_program_gradient, build, 1)) for name, build in BUILDERS.items()),
    *(Case(name, "second", partial(check_program_gradient, build, 2)) for name, build in BUILDERS.items()),
)
