"""Long scalar functions split into parts, each in its own loop over some elements.

A processor hides the latency of an operation by working on the next elements, as far as it looks ahead: about 450
instructions. In nested calls such as log1p(exp(x)), that is only four vectors, so it stalls. Therefore calls that other
calls depend on are made first, in loops that leave their results in the first-level cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from stackgrad.tensor import OPS
from stackgrad.tensor._optable import called_by
from stackgrad.tensor._stage import Operand, Result, Stage

from ._math import LONG


def parts_of(stage: Stage) -> list[Stage]:
    """Split a stage into stages that are computed one after the other; the last one gives the results.

    The others give the results of calls, which later ones take as additional operands.
    """
    depth = [0] * len(stage.operands)  # how many nested calls lead to a slot
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
    """The stage that computes `results` from the operands and the slots that are `made` already."""
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
