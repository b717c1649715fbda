"""Expressions as steps that a backend does: each `Stage` can be one kernel.

    roots     sum of exp(x - m) over dim 1, with m the max of x over dim 1
    steps     Stage 1: m = max over dim 1 of x                        whatever is reduced, or called, is written to
              Stage 2: the sum over dim 1 of exp(x - m)               memory, and read by the steps behind it

What is computed element by element is computed again wherever it is used, which costs no memory. Only what is costly
and used by many elements, such as the exp of a broadcast row, is written to memory too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ._backend import Array, Backend
from ._expression import Expression
from ._optable import OPS, called_by
from ._plans import Plans, layouts
from ._stage import Axes, Call, Given, Line, Operand, Result, Stage, aligned
from ._tape import captured_on

MANY = 8  # uses of one element, from which on what is costly is written to memory


class Program:
    """Computes expressions, `roots`, from the values of others, `given`."""

    def __init__(self, roots: Sequence[Expression], given: Sequence[Expression]) -> None:
        self._at = {id(x): i for i, x in enumerate(given)}  # the values in memory
        self._level = dict.fromkeys(self._at, 0)
        self._wanted: dict[tuple[int, Any], list[Expression]] = {}  # what a step makes, by its level and its shape
        for root in roots:
            self._require(_in_memory(root))
        self.steps = [self._step(wanted) for _, wanted in sorted(self._wanted.items(), key=lambda item: item[0][0])]
        self.results = [self._given(root) for root in roots]
        self._plans: Plans[Callable[[tuple[Array, ...]], Sequence[Array]]] = Plans(self._plan)

    def __call__(self, backend: Backend, arrays: tuple[Array, ...]) -> Sequence[Array]:
        """The roots, for arrays of what is given."""
        return self._plans.find((backend, layouts(arrays)), backend, arrays)(arrays)

    # --- which steps there are

    def _require(self, x: Expression) -> int:
        """Have a value in memory: the level behind that of all it is made from, at which it is made."""
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
        """What these are computed from, element by element: the values in memory or views of them, and the rest.

        Each stands behind what it is computed from.
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
        """Whether a stage of so many elements reads x from memory."""
        if x.kind == "view":
            return True
        if x in wanted and x.kind != "reduce":
            return False
        if id(x) in self._at or x.kind in ("reduce", "call"):
            return True
        return x.kind == "op" and x.size * MANY <= size and bool(called_by(OPS[x.what].scalar))

    # --- what each does

    def _step(self, wanted: list[Expression]) -> Stage | Call:
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

    # --- and how a backend does it

    def _plan(self, backend: Backend, arrays: tuple[Array, ...]) -> Callable[[tuple[Array, ...]], Sequence[Array]]:
        values = list(arrays)
        runs: list[tuple[Callable[..., Sequence[Array]], tuple[int, ...]]] = []
        for step in self.steps:
            if isinstance(step, Call):
                runs.append((partial(_call, backend, step), (step.given.source,)))
            else:
                sources = tuple([operand.source for operand in step.operands])
                runs.append((backend.plan_stage(step, [values[i] for i in sources]), sources))
            run, sources = runs[-1]
            if step is not self.steps[-1]:  # the plans of those behind depend on how its results lie
                with captured_on(None):
                    values.extend(run(*[values[i] for i in sources]))
        if len(runs) == 1 and self.results == [Given(len(arrays) + i) for i in range(len(self.results))]:
            return lambda arrays: run(*[arrays[i] for i in sources])

        def do(arrays: tuple[Array, ...]) -> Sequence[Array]:
            values = list(arrays)
            for run, sources in runs:
                values.extend(run(*[values[i] for i in sources]))
            return [values[i] if axes is None else aligned(backend, values[i], axes) for i, axes in self.results]

        return do


def _source(x: Expression) -> Expression:
    """What a step computes element by element, to write it, or to reduce it."""
    return x.operands[0] if x.kind == "reduce" else x


def _line(x: Expression, slots: tuple[int, ...]) -> Line:
    return Line(x.what if x.kind == "op" else x.kind, slots, x.dtype, x.what if x.kind == "constant" else None)


def _axes(leaf: Expression, ndim: int) -> Axes:
    """The axes of a leaf along the dimensions of a stage, which has `ndim` of them."""
    own = leaf.what if leaf.kind == "view" else tuple([d if n != 1 else None for d, n in enumerate(leaf.shape)])
    return (None,) * (ndim - len(own)) + own


def _in_memory(x: Expression) -> Expression:
    """What is to be in memory: of a view, what it is a view of."""
    return x.operands[0] if x.kind == "view" else x


def _call(backend: Backend, step: Call, array: Array) -> tuple[Array]:
    array = array if step.given.axes is None else aligned(backend, array, step.given.axes)
    return (getattr(backend, step.method)(*step.before, array, *step.behind),)
