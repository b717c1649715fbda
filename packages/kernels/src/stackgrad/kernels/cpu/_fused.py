"""Stages of fused functions: any number of operands and results, processed by rows and reduced on the way.

    for each row of the walk
        for each element of the row     compute all results, in registers (or in parts, see `_fission`)
            write it, or store it in a buffer, which stays in the first-level cache
        fold each buffer                inner   to one element, if the row is reduced
                                        outer   into one row of the chunk, if the rows are reduced
                                        both    into one element of the chunk

`_reduce` then reduces the results of chunks, and dimensions in between. A kernel is generated for each combination of a
scalar function, layouts of its operands along a row, and reductions of its results.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from stackgrad.tensor import REDUCTIONS
from stackgrad.tensor._shape import strides_in_order
from stackgrad.tensor._stage import Result, Stage
from stackgrad.tensor._types import DType, Shape
from stackgrad.tensor._types import HostArray as Array

from .._index import inverse, memory_order, merge
from .._scalar import fused_scalar, fused_source
from . import _elementwise, _reduce
from ._elementwise import layout_of, position  # noqa: F401 - kernels call them
from ._fission import parts_of
from ._kernel import Entry, Kernel, rebind
from ._math import function_of
from ._memory import maker
from ._numba import helper, numba, types
from ._parallel import CHUNK
from ._pointers import Memory, load, load_at, on_stack, size_of, store, store_apart_at  # noqa: F401 - these, too

RANK = _elementwise.RANK
SEGMENT = 4_096  # elements of a row in a buffer
BLOCK = 1_024  # elements of a buffer between parts
MOST_ROWS = 128  # rows folded into one, one after the other

ALONG, REPEATED, APART = "along", "repeated", "apart"  # the layout of an operand along a row
WRITTEN, INNER, OUTER, BOTH = "written", "inner", "outer", "both"


class Way(NamedTuple):
    """What the kernel does with a result: how, by which reduction, and in which dtype."""

    how: str
    reduction: str | None
    dtype: DType


def _text(operands: Sequence[str], ways: Sequence[Way], parts: Sequence[Stage], one_row: bool) -> str:
    """The kernel's source. x are operands, r results, c results of parts; p are their offsets in bytes.

    With `one_row`, LLVM can remove the loop over rows: inside it, it would load the constants of a long function again
    for each vector.
    """
    many, walked = len(operands), [f"x{i}" for i in range(len(operands))]
    walked += [f"r{i}" for i, way in enumerate(ways) if way.how == WRITTEN]
    results = [f"r{i}" for i in range(len(ways))]
    folded = [i for i, way in enumerate(ways) if way.how != WRITTEN]
    end = RANK + 5 * len(walked)
    lines = [
        f"def fused(chunk, {', '.join([*walked[:many], *results, 'table'])}):",
        "    n0, n1, n2, n3 = load(table, 0), load(table, 1), load(table, 2), load(table, 3)",
        f"    across, columns, rows = load(table, {end}), load(table, {end + 1}), load(table, {end + 2})",
        "    stack, part = chunk // across, chunk % across",
        "    first, left = stack * rows, part * columns",
        "    count = min(n3 - left, columns)",
        "    k, j, i = first % n2, first // n2 % n1, first // n2 // n1",
    ]
    lines += [f"    layout_{x} = layout_of(table, {n})" for n, x in enumerate(walked)]
    lines += [f"    buffer{i}, lanes{i} = on_stack(r{i}, {SEGMENT}), on_stack(r{i}, {_reduce.LANES})" for i in folded]
    likes = [f"x{i}" for i in range(many)] + results  # an array of the same dtype as each call's result
    dtypes = [*parts[-1].dtypes[:many], *[way.dtype for way in ways]]
    for n, dtype in enumerate(parts[-1].dtypes[many:]):
        lines += [f"    kept_c{n} = on_stack({likes[dtypes.index(dtype)]}, {BLOCK})"]
    offsets = [f"p_{x} = position(layout_{x}, i, j, k, left)" for x in walked]
    lines += [f"    {offset}" for offset in offsets]
    lines += [f"    for row in range({1 if one_row else 'min(n0 * n1 * n2 - first, rows)'}):"]
    taken = []
    for i, layout in enumerate(operands):
        if layout == REPEATED:
            lines += [f"        v{i} = load_at(x{i}, p_x{i})"]
            taken += [f"v{i}"]
        else:
            taken += [f"load_at(x{i}, p_x{i} + m * {f'size_of(x{i})' if layout == ALONG else f'layout_x{i}.m'})"]
    *before, last = parts
    if before:
        lines += [f"        for begin in range(0, count, {BLOCK}):", f"            end = min(begin + {BLOCK}, count)"]
    indent, span = ("            ", "begin, end") if before else ("        ", "count")
    for n, part in enumerate(before):
        calls = [f"c{len(part.operands) - many + i}" for i in range(len(part.results))]
        lines += [f"{indent}for m in range({span}):", f"{indent}    {_call(f'_part{n}', calls, taken, part, many)}"]
        lines += [f"{indent}    store(kept_{call}, m - begin, {call})" for call in calls]
    lines += [f"{indent}for m in range({span}):"]
    lines += [f"{indent}    {_call('_scalar', [f't{i}' for i in range(len(ways))], taken, last, many)}"]
    for i, way in enumerate(ways):
        put = f"store_apart_at(r{i}, p_r{i} + m * size_of(r{i}), t{i})"
        lines += [f"{indent}    {put if way.how == WRITTEN else f'store(buffer{i}, m, t{i})'}"]
    for i in folded:
        lines += [f"        {line}" for line in _folding(i, ways[i])]
    lines += [f"        p_{x} += layout_{x}.k" for x in walked]
    lines += ["        k += 1", "        if k == n2:", "            k = 0", "            j += 1"]
    lines += ["            if j == n1:", "                j = 0", "                i += 1"]
    lines += [f"            {offset}" for offset in offsets]
    return "\n".join(lines) + "\n"


def _call(function: str, results: Sequence[str], taken: Sequence[str], part: Stage, many: int) -> str:
    """A call of the scalar function of a part, for element m."""
    kept = [f"load(kept_c{n}, m - begin)" for n in range(len(part.operands) - many)]
    return f"{', '.join(results)} = {function}({', '.join([*taken, *kept])})"


def _folding(i: int, way: Way) -> list[str]:
    """The lines that fold the buffer of result i."""
    if way.how == OUTER:
        return [
            "if row == 0:",
            "    for m in range(count):",
            f"        store(r{i}, stack * n3 + left + m, load(buffer{i}, m))",
            "else:",
            "    for m in range(count):",
            f"        value = load(r{i}, stack * n3 + left + m)",
            f"        store(r{i}, stack * n3 + left + m, _merge{i}(value, load(buffer{i}, m), value))",
        ]
    fold = [f"_fold{i}(buffer{i}, 0, count, lanes{i})", f"one{i} = load(lanes{i}, 0)"]
    if way.how == INNER:
        return [*fold, f"store(r{i}, (first + row) * across + part, one{i})"]
    return [*fold, f"store(r{i}, chunk, one{i} if row == 0 else _merge{i}(load(r{i}, chunk), one{i}, one{i}))"]


def _kernel(stage: Stage, operands: Sequence[str], ways: Sequence[Way], one_row: bool) -> Entry:
    """The kernel of a stage for these layouts of operands along a row, or the only row, and these ways of results."""
    dtypes = (*stage.dtypes, *[way.dtype for way in ways])
    parts = parts_of(stage)
    if not set(parts[-1].dtypes) <= set(dtypes):
        parts = [stage]
    *before, last = parts
    text = _text(operands, ways, parts, one_row)
    made_of = [dtype.name for dtype in dtypes], [way.reduction for way in ways]
    key = f"{text}{''.join(map(fused_source, parts))}{made_of}"
    found = _entries.get(key)
    if found is not None:
        return found
    # Machine code on disk has names from other processes, so names must be unique.
    name = f"fused_{sha256(key.encode()).hexdigest()[:16]}"
    namespace: dict[str, Any] = {**globals(), "_scalar": fused_scalar(last, name, function_of, helper)}
    for n, part in enumerate(before):
        namespace[f"_part{n}"] = fused_scalar(part, f"{name}_{n}", function_of, helper)
    for i, way in enumerate(ways):
        if way.reduction is not None:
            namespace[f"_merge{i}"], namespace[f"_fold{i}"] = _reduce.folding(way.reduction, way.dtype.kind == "f")
    exec(text, namespace)

    def signature(T: Any) -> tuple[Any, ...]:
        return (*[Memory(numba.from_dtype(dtype)) for dtype in dtypes], Memory(types.int64))

    kernel = Kernel(rebind(namespace["fused"], name), signature, key)
    found = _entries[key] = kernel[np.dtype(np.float32)]
    return found


_entries: dict[str, Entry] = {}  # by everything that they were made from


def plan_stage(stage: Stage, arrays: Sequence[Array]) -> Callable[..., list[Array]]:
    """See Backend.plan_stage."""
    plan = _Plan(stage, [np.asarray(x) for x in arrays])
    return plan.run


class _Plan:
    """The launches of a stage for operands of these layouts, and the steps after them."""

    def __init__(self, stage: Stage, arrays: Sequence[Array]) -> None:
        self._scalars = not all(x.ndim for x in arrays)
        shape = stage.shape
        spread = [
            tuple([0 if axis is None or x.shape[axis] == 1 else x.strides[axis] for axis in operand.axes])
            for x, operand in zip(arrays, stage.operands, strict=True)
        ]
        order = memory_order([(shape, strides) for strides in spread], shape)
        ordered = tuple([shape[d] for d in order])
        dtypes = [stage.slot_dtype(result.slot) for result in stage.results]
        written = strides_in_order(ordered)
        kept = [_kept_strides(result, shape, order) for result in stage.results]
        extents, strides = merge(ordered, [*[tuple([s[d] for d in order]) for s in spread], written, *kept])
        if not extents:
            extents, strides = (1,), [(0,) for _ in strides]
        of_operands, of_written, of_kept = strides[: len(spread)], strides[len(spread)], strides[len(spread) + 1 :]
        ways = [
            _way(result, dtype, steps, extents)
            for result, dtype, steps in zip(stage.results, dtypes, of_kept, strict=True)
        ]
        operands = tuple([_layout(s[-1], x.itemsize) for s, x in zip(of_operands, arrays, strict=True)])
        walked = [*of_operands]
        walked += [tuple([step * way.dtype.itemsize for step in of_written]) for way in ways if way.how == WRITTEN]
        entry = _kernel(stage, operands, ways, len(extents) == 1)
        folds = any(way.how != WRITTEN for way in ways)
        columns = min(extents[-1], SEGMENT if folds else CHUNK)
        rows = CHUNK // columns
        if any(way.how in (OUTER, BOTH) for way in ways):
            rows = min(rows, MOST_ROWS)
        across, count = -(-extents[-1] // columns), math.prod(extents[:-1])
        self._launches = []
        for table in _tables(extents, walked):
            chunks = -(-math.prod(table[: RANK - 1]) // rows) * across
            launch = np.array([*table, across, columns, rows], np.int64)
            self._launches.append((chunks, math.prod(ordered) * max(1, len(stage.lines)), launch))
        self._entry = entry
        ends = _End(ordered, order, extents, across, -(-count // rows))
        self._results = [ends.of(result, way) for result, way in zip(stage.results, ways, strict=True)]

    def run(self, *arrays: Array) -> list[Array]:
        """The results for operands of the shapes and strides of this plan."""
        if self._scalars:
            arrays = tuple([np.asarray(x) for x in arrays])
        made = [make() for make, _ in self._results]
        for chunks, work, table in self._launches:
            self._entry(chunks, work, (*arrays, *made, table))
        return [out if end is None else end(out) for out, (_, end) in zip(made, self._results, strict=True)]


def _kept_strides(result: Result, shape: Shape, order: Shape) -> Shape:
    """Strides of a reduced result: 0 for each reduced dimension; others keep `merge` from merging kept with reduced."""
    if result.reduction is None:
        return (0,) * len(order)
    kept = tuple([1 if d in result.dims else extent for d, extent in enumerate(shape)])
    steps = strides_in_order(tuple([kept[d] for d in order]))
    return tuple([0 if d in result.dims else step for d, step in zip(order, steps, strict=True)])


def _way(result: Result, dtype: DType, steps: Shape, extents: Shape) -> Way:
    if result.reduction in (None, "prod") or dtype.kind == "b" or len(extents) > RANK:
        return Way(WRITTEN, None, dtype)
    inner, outer = not steps[-1] and extents[-1] > 1, not any(steps[:-1]) and len(extents) > 1
    if not (inner or outer):  # dimensions in between
        inner = not steps[-1]
        if not inner:
            return Way(WRITTEN, None, dtype)
    return Way(BOTH if inner and outer else INNER if inner else OUTER, result.reduction, dtype)


def _layout(step: int, size: int) -> str:
    return ALONG if step == size else APART if step else REPEATED


def _tables(extents: Shape, strides: Sequence[Shape]) -> Iterator[list[int]]:
    """The extents of a walk and each array's layout (see `_elementwise`), for each index of dimensions beyond RANK."""
    lead, left = max(0, len(extents) - RANK), max(0, RANK - len(extents))
    for index in product(*[range(extent) for extent in extents[:lead]]):
        table = [1] * left + list(extents[lead:])
        for steps in strides:
            table += [sum(map(int.__mul__, index, steps)), *[0] * left, *steps[lead:]]
        yield table


class _End(NamedTuple):
    """The steps after a kernel: `ordered` are the extents of the dimensions in the `order` of the walk."""

    ordered: Shape
    order: Shape
    extents: Shape  # merged
    across: int
    stacks: int  # of rows, each in one chunk or in several adjacent ones

    def of(self, result: Result, way: Way) -> tuple[Callable[[], Array], Callable[[Array], Array] | None]:
        """A function that makes the memory of a result, and one that makes the result from it (None for nothing)."""
        if way.how == WRITTEN:
            return maker(self.ordered, way.dtype), self._written(result)
        row = self.extents[-1]
        begin = len(self.ordered)  # of the dimensions that form a row
        while math.prod(self.ordered[begin:]) < row:
            begin -= 1
        before, behind = self.order[:begin], self.order[begin:]
        if way.how == INNER:
            rows = math.prod(self.extents[:-1])
            return maker((rows, self.across), way.dtype), self._reduced(result, before, self.ordered[:begin], (1,))
        if way.how == OUTER:
            return maker((self.stacks, row), way.dtype), self._reduced(result, behind, self.ordered[begin:], (0,))
        return maker((self.stacks, self.across), way.dtype), self._reduced(result, (), (), (0, 1))

    def _written(self, result: Result) -> Callable[[Array], Array] | None:
        back = inverse(self.order)
        in_order = self.order == tuple(range(len(self.order)))
        if result.reduction is None:
            return None if in_order else lambda out: out.transpose(back)
        reduction = REDUCTIONS[result.reduction]
        return lambda out: _reduce.reduce(reduction, out.transpose(back), result.dims)

    def _reduced(self, result: Result, dims: Shape, extents: Shape, parts: Shape) -> Callable[[Array], Array]:
        """A function that folds the `parts` of a result, and those of its other dimensions `dims` that are reduced."""
        reduction = REDUCTIONS[result.reduction or ""]
        between = tuple([i for i, d in enumerate(dims) if d in result.dims and extents[i] > 1])
        left = [d for i, d in enumerate(dims) if i not in between]
        transpose = tuple([left.index(d) for d in sorted(left)])
        by_dim = dict(zip(self.order, self.ordered, strict=True))
        shape = tuple([by_dim[d] for d in sorted(by_dim) if d not in result.dims])

        def end(out: Array) -> Array:
            out = _reduce.reduce(reduction, out, parts).reshape(extents)
            if between:
                out = _reduce.reduce(reduction, out, between)
            return out.transpose(transpose).reshape(shape)

        return end
