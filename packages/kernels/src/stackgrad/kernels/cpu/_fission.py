"""Long scalar functions in parts, each for some elements in a loop of its own.

A processor hides how long an operation takes behind those of the next elements, as far as it sees ahead: some 450
instructions. Of two functions, each of the other's result, such as log1p(exp(x)), it sees four vectors, and waits. So
calls on which other calls depend are made first, by loops that leave their results in the first-level cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from stackgrad.tensor import OPS
from stackgrad.tensor._optable import called_by
from stackgrad.tensor._stage import Operand, Result, Stage

from ._math import LONG


def parts_of(stage: Stage) -> list[Stage]:
    """Stages that are done one after the other for each element, the last with the results of all.

    Those before it give the results of calls, which those behind it have as further operands.
    """
    depth = [0] * len(stage.operands)  # how many calls, each of the result of another, lead to a slot
    for line in stage.lines:
        depth.append(max([depth[slot] for slot in line.slots], default=0) + _is_call(line.op))
    parts: list[Stage] = []
    made: list[int] = []
    for level in range(1, max(depth, default=0)):
        calls = [
            slot
            for slot, line in enumerate(stage.lines, len(stage.operands))
            if depth[slot] == level and _is_call(line.op)
        ]
        parts.append(_part(stage, made, [Result(slot) for slot in calls]))
        made = made + calls
    return [*parts, _part(stage, made, stage.results)]


def _is_call(op: str) -> bool:
    return op in OPS and not LONG.isdisjoint(called_by(OPS[op].scalar))


def _part(stage: Stage, made: Sequence[int], results: Sequence[Result]) -> Stage:
    """The results, from the operands and the slots that are made already."""
    count = len(stage.operands)
    given = [*range(count), *made]
    needed: set[int] = set()
    left = [result.slot for result in results]
    while left:
        slot = left.pop()
        if slot not in needed:
            needed.add(slot)
            left += [] if slot in given else stage.lines[slot - count].slots
    kept = [slot for slot in sorted(needed) if slot not in given]
    index = {slot: i for i, slot in enumerate([*given, *kept])}
    lines = [stage.lines[slot - count] for slot in kept]
    return Stage(
        stage.shape,
        (*stage.operands, *[Operand(-1, ()) for _ in made]),
        tuple([stage.slot_dtype(slot) for slot in given]),
        tuple([line._replace(slots=tuple([index[slot] for slot in line.slots])) for line in lines]),
        tuple([result._replace(slot=index[result.slot]) for result in results]),
    )
