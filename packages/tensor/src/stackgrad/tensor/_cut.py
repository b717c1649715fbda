"""The values that the forward of a fused function keeps for its gradient: those that move the fewest bytes.

The gradient can recompute forward values from the operands, or from any values in between. Reading an operand or a
result costs its bytes; an intermediate value must also be written, which brings its memory into the cache and back, so
it costs three times as much. The cheapest set of values that separates the operands from the gradient is a minimum cut
of the expression's graph, in which each value is an edge (L. R. Ford and D. R. Fulkerson, "Maximal flow through a
network", 1956).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ._expression import Expression

Vertex = tuple[int, bool]  # the id of a value; False: the vertex before it, True: the one after it
_START, _END = (-1, True), (-2, False)


def cheapest(roots: Sequence[Expression], g: Expression, at_hand: Sequence[Expression]) -> list[Expression]:
    """The values from which to compute the `roots`, which depend on the gradient `g`; g itself is not included.

    `at_hand`: values in memory anyway. Ties go to the values nearest to the roots, which leave less to compute.
    """
    order = _in_order(roots)
    late: set[int] = set()  # expressions that depend on g
    for x in order:
        if x is g or any(id(part) in late for part in x.operands):
            late.add(id(x))
    capacity: dict[Vertex, dict[Vertex, float]] = {}

    def join(a: Vertex, b: Vertex, bytes_: float) -> None:
        capacity.setdefault(a, {})[b] = bytes_
        capacity.setdefault(b, {}).setdefault(a, 0)

    free = {id(x) for x in order if x.kind in ("constant", "scalar")}
    hand = {id(x) for x in at_hand}
    for x in order:
        if id(x) in late:
            for part in x.operands:
                if id(part) not in late and id(part) not in free:
                    join((id(part), True), _END, float("inf"))
        elif id(x) not in free:
            cost = x.nbytes * (1 if id(x) in hand else 3)
            join((id(x), False), (id(x), True), float("inf") if x.kind == "view" else cost)
            if x.kind == "input":
                join(_START, (id(x), False), float("inf"))
            for part in x.operands:
                if id(part) not in free:
                    join((id(part), True), (id(x), False), float("inf"))
    for root in roots:
        if id(root) not in late and id(root) not in free:
            join((id(root), True), _END, float("inf"))
    before = _uncut(capacity)
    return [x for x in order if (id(x), True) not in before and (id(x), False) in before and id(x) not in late]


def _in_order(roots: Sequence[Expression]) -> list[Expression]:
    """Everything that the roots are computed from, operands first."""
    found: dict[int, Expression] = {}
    stack = list(roots)
    while stack:
        x = stack[-1]
        new = [part for part in x.operands if id(part) not in found]
        if new and id(x) not in found:
            stack.extend(new)
        else:
            found.setdefault(id(stack.pop()), x)
    return list(found.values())


def _uncut(capacity: dict[Vertex, dict[Vertex, float]]) -> set[Vertex]:
    """The vertices before the last minimum cut, from which nothing more can flow to the end.

    Augments shortest paths (J. Edmonds and R. M. Karp, 1972).
    """
    while True:
        previous: dict[Vertex, Vertex] = {_START: _START}
        queue = deque([_START])
        while queue and _END not in previous:
            a = queue.popleft()
            for b, left in capacity.get(a, {}).items():
                if left > 0 and b not in previous:
                    previous[b] = a
                    queue.append(b)
        if _END not in previous:
            break
        path, b = [], _END
        while b != _START:
            path.append((previous[b], b))
            b = previous[b]
        flow = min(capacity[a][b] for a, b in path)
        for a, b in path:
            capacity[a][b] -= flow
            capacity[b][a] += flow
    reaching, queue = {_END}, deque([_END])
    while queue:
        b = queue.popleft()
        for a in capacity.get(b, {}):
            if capacity[a].get(b, 0) > 0 and a not in reaching:
                reaching.add(a)
                queue.append(a)
    return set(capacity) - reaching
