"""Programs: expressions as a sequence of stages that a backend runs; each `Stage` can be one kernel.

    roots     sum of exp(x - m) over dim 1, with m the max of x over dim 1
    stages    Stage 1: m = max over dim 1 of x                        results of reductions and calls are written to
              Stage 2: the sum over dim 1 of exp(x - m)               memory, and read by later stages

Elementwise expressions are recomputed wherever they are used, which costs no memory. Only costly ones that many
elements use, such as the exp of a broadcast row, are written to memory too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ._backend import Backend
from ._expression import Expression
from ._optable import OPS, called_by
from ._plans import Plans, layouts
from ._stage import Axes, Call, Given, Line, Operand, Result, Stage, aligned
from ._tape import captured_on
from ._types import Array

MANY = 8  # uses of one element from which on a costly expression is written to memory


class Program:
    """Computes the expressions `roots` from the values of the expressions `given`."""

    def __init__(self, roots: Sequence[Expression], given: Sequence[Expression]) -> None:
        self._at = {id(x): i for i, x in enumerate(given)}  # the indices of the values in memory
        self._level = dict.fromkeys(self._at, 0)
        self._wanted: dict[tuple[int, Any], list[Expression]] = {}  # the results of a stage, by its level and shape
        for root in roots:
            self._require(_in_memory(root))
        self.stages = [self._stage(wanted) for _, wanted in sorted(self._wanted.items(), key=lambda item: item[0][0])]
        self.results = [self._given(root) for root in roots]
        self._plans: Plans[Callable[[tuple[Array, ...]], Sequence[Array]]] = Plans(self._plan)

    def __call__(self, backend: Backend, arrays: tuple[Array, ...]) -> Sequence[Array]:
        """The roots, from arrays of the given values."""
        return self._plans.find((backend, layouts(arrays)), backend, arrays)(arrays)

    # --- which stages there are

    def _require(self, x: Expression) -> int:
        """Require x in memory. Returns the level at which it is computed, after everything it depends on."""
        if id(x) in self._level:
            return self._level[id(x)]
        form: Any = _source(x).shape
        if x.kind == "call":
            level, form = self._require(_in_memory(x.operands[0])), id(x)
        else:
            level = max([self._require(_in_memory(leaf)) for leaf in self._parts([x])[0]], default=0)
        self._level[id(x)] = level + 1
        self._wanted.setdefault((level + 1, form), []).append(x)
        return level + 1

    def _parts(self, wanted: list[Expression]) -> tuple[list[Expression], list[Expression]]:
        """The elementwise dependencies of `wanted`: the leaves, values in memory or views of them, and the rest.

        Operands come first.
        """
        leaves: list[Expression] = []
        rest: list[Expression] = []
        seen: set[int] = set()
        stack = [_source(x) for x in wanted]
        size = stack[0].size
        while stack:
            x = stack[-1]
            new = [] if self._is_leaf(x, wanted, size) else [part for part in x.operands if id(part) not in seen]
            if new:
                stack.extend(new)
                continue
            stack.pop()
            if id(x) not in seen:
                seen.add(id(x))
                (leaves if self._is_leaf(x, wanted, size) else rest).append(x)
        return leaves, rest

    def _is_leaf(self, x: Expression, wanted: list[Expression], size: int) -> bool:
        """Whether a stage of `size` elements reads x from memory."""
        if x.kind == "view":
            return True
        if x in wanted and x.kind != "reduce":
            return False
        if id(x) in self._at or x.kind in ("reduce", "call"):
            return True
        return x.kind == "op" and x.size * MANY <= size and bool(called_by(OPS[x.what].scalar))

    # --- what each stage does

    def _stage(self, wanted: list[Expression]) -> Stage | Call:
        leaves, rest = ([], []) if wanted[0].kind == "call" else self._parts(wanted)
        sources = [self._at[id(_in_memory(leaf))] for leaf in leaves]
        for x in wanted:
            self._at[id(x)] = len(self._at)
        if wanted[0].kind == "call":
            return Call(self._given(wanted[0].operands[0]), *wanted[0].what)
        shape = _source(wanted[0]).shape
        slot = {id(x): i for i, x in enumerate([*leaves, *rest])}
        return Stage(
            shape,
            tuple([Operand(i, _axes(x, len(shape))) for i, x in zip(sources, leaves, strict=True)]),
            tuple([x.dtype for x in leaves]),
            tuple([_line(x, tuple([slot[id(part)] for part in x.operands])) for x in rest]),
            tuple([Result(slot[id(_source(x))], *(x.what if x.kind == "reduce" else ())) for x in wanted]),
        )

    def _given(self, root: Expression) -> Given:
        return Given(self._at[id(_in_memory(root))], root.what if root.kind == "view" else None)

    # --- how a backend runs it

    def _plan(self, backend: Backend, arrays: tuple[Array, ...]) -> Callable[[tuple[Array, ...]], Sequence[Array]]:
        values = list(arrays)
        runs: list[tuple[Callable[..., Sequence[Array]], tuple[int, ...]]] = []
        for stage in self.stages:
            if isinstance(stage, Call):
                runs.append((partial(_call, backend, stage), (stage.given.source,)))
            else:
                sources = tuple([operand.source for operand in stage.operands])
                runs.append((backend.plan_stage(stage, [values[i] for i in sources]), sources))
            run, sources = runs[-1]
            if stage is not self.stages[-1]:  # the plans of later stages depend on the layout of its results
                with captured_on(None):
                    values.extend(run(*[values[i] for i in sources]))
        if len(runs) == 1 and self.results == [Given(len(arrays) + i) for i in range(len(self.results))]:
            return lambda arrays: run(*[arrays[i] for i in sources])

        def run_all(arrays: tuple[Array, ...]) -> Sequence[Array]:
            values = list(arrays)
            for run, sources in runs:
                values.extend(run(*[values[i] for i in sources]))
            return [values[i] if axes is None else aligned(backend, values[i], axes) for i, axes in self.results]

        return run_all


def _source(x: Expression) -> Expression:
    """The elementwise expression that a stage computes, to write or to reduce."""
    return x.operands[0] if x.kind == "reduce" else x


def _line(x: Expression, slots: tuple[int, ...]) -> Line:
    return Line(x.what if x.kind == "op" else x.kind, slots, x.dtype, x.what if x.kind == "constant" else None)


def _axes(leaf: Expression, ndim: int) -> Axes:
    """The axes of a leaf along the `ndim` dimensions of a stage."""
    own = leaf.what if leaf.kind == "view" else tuple([d if n != 1 else None for d, n in enumerate(leaf.shape)])
    return (None,) * (ndim - len(own)) + own


def _in_memory(x: Expression) -> Expression:
    """The expression that must be in memory for x: x itself, or the operand of a view."""
    return x.operands[0] if x.kind == "view" else x


def _call(backend: Backend, call: Call, array: Array) -> tuple[Array]:
    array = array if call.given.axes is None else aligned(backend, array, call.given.axes)
    return (getattr(backend, call.method)(*call.before, array, *call.after),)
