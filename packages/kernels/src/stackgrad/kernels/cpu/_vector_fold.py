"""The sum, the largest and the smallest of neighbouring floats, folded in registers.

    x      |0 ...  63|64 ... 127| ... |           |        64 float32 are VECTORS vectors, 64 running values
                                         |last 64 |        what the last row repeats counts as `nothing`

The running values are folded by halves. The last of them is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from ._kernel import rebind
from ._numba import helper, intrinsic, types
from ._simd import halves, row_of, splat
from ._vector import vectors_at
from ._width import lanes_of

VECTORS = 8  # half of the registers of AVX2
FEWEST = 64  # elements that a fold takes at least: float32 in VECTORS vectors, and more than float64 in them

_INT32 = ir.IntType(32)


class _Merge(NamedTuple):
    """What is done to a vector of running values and the next vector, and a number that changes no running value."""

    of: Callable[[Any, Any, Any], Any]
    nothing: float


def _sum(builder: Any, running: Any, new: Any) -> Any:
    return builder.fadd(running, new)


def _extreme(compare: str) -> Callable[[Any, Any, Any], Any]:
    def merge(builder: Any, running: Any, new: Any) -> Any:
        is_nan = builder.fcmp_unordered("uno", new, new)
        return builder.select(builder.or_(builder.fcmp_ordered(compare, new, running), is_nan), new, running)

    return merge


# -0 + -0 is -0, and 0 + -0 is 0
_MERGES = {
    "sum": _Merge(_sum, -0.0),
    "max": _Merge(_extreme(">"), float("-inf")),
    "min": _Merge(_extreme("<"), float("inf")),
}


def _with_row(merge: _Merge) -> Any:
    @intrinsic
    def with_row(typingctx: Any, tile: Any, x: Any, index: Any) -> Any:
        """The tile merged with x[index :], lane by lane."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            out = args[0]
            for j, row in enumerate(row_of(context, builder, tile, signature.args[1], args[1], args[2])):
                out = builder.insert_value(out, merge.of(builder, builder.extract_value(out, j), row), j)
            return out

        return tile(tile, x, types.intp), codegen

    return with_row


def _with_end_of_row(merge: _Merge) -> Any:
    @intrinsic
    def with_end_of_row(typingctx: Any, tile: Any, x: Any, index: Any, first: Any) -> Any:
        """The tile merged with x[index :] in the lanes from `first` on; those before stay as they are."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            out, integers = args[0], ir.VectorType(_INT32, tile.lanes)
            start = splat(builder, builder.trunc(args[3], _INT32), integers)
            nothing = ir.Constant(tile.vector, [merge.nothing] * tile.lanes)
            for j, row in enumerate(row_of(context, builder, tile, signature.args[1], args[1], args[2])):
                numbers = ir.Constant(integers, list(range(j * tile.lanes, (j + 1) * tile.lanes)))
                chosen = builder.select(builder.icmp_signed(">=", numbers, start), row, nothing)
                out = builder.insert_value(out, merge.of(builder, builder.extract_value(out, j), chosen), j)
            return out

        return tile(tile, x, types.intp, types.intp), codegen

    return with_end_of_row


def _by_halves(merge: _Merge) -> Any:
    @intrinsic
    def by_halves(typingctx: Any, tile: Any) -> Any:
        """The numbers of a tile, the second half merged with the first until one is left."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vectors = [builder.extract_value(args[0], j) for j in range(tile.vectors)]
            while len(vectors) > 1:
                half = len(vectors) // 2
                vectors = [merge.of(builder, a, b) for a, b in zip(vectors[:half], vectors[half:], strict=True)]
            (last,) = vectors
            while last.type.count > 1:
                last = merge.of(builder, *halves(builder, last))
            return builder.extract_element(last, _INT32(0))

        return tile.element(tile), codegen

    return by_halves


def _fold(x, start, count):
    """x[start : start + count], FEWEST elements or more, as one."""
    width = VECTORS * lanes_of(x)
    tile = vectors_at(x, start, VECTORS)
    for i in range(start + width, start + count - width + 1, width):
        tile = _row(tile, x, i)
    tile = _end(tile, x, start + count - width, width - count % width)
    return _one(tile)


_row: Any = None
_end: Any = None
_one: Any = None

fold_vectors: dict[str, Any] = {
    name: helper(
        rebind(_fold, f"{name}_vectors", _row=_with_row(merge), _end=_with_end_of_row(merge), _one=_by_halves(merge))
    )
    for name, merge in _MERGES.items()
}
