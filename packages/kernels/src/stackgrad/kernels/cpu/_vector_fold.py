"""The sum, maximum and minimum of adjacent floats, folded in registers.

    x      |0 ...  63|64 ... 127| ... |           |        64 float32 are VECTORS vectors, 64 running values
                                         |last 64 |        elements that the last row repeats are replaced by `identity`

At the end the running values are folded by halves until one is left.
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
FEWEST = 64  # the fewest elements of a fold: VECTORS vectors of float32, and more than that of float64

_INT32 = ir.IntType(32)


class _Merge(NamedTuple):
    """How to merge a vector of running values with the next vector, and the identity of that operation."""

    of: Callable[[Any, Any, Any], Any]
    identity: float


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
        """The tile merged with x[index :] in the lanes from `first` on; the others are unchanged."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            out, integers = args[0], ir.VectorType(_INT32, tile.lanes)
            start = splat(builder, builder.trunc(args[3], _INT32), integers)
            identity = ir.Constant(tile.vector, [merge.identity] * tile.lanes)
            for j, row in enumerate(row_of(context, builder, tile, signature.args[1], args[1], args[2])):
                lanes = ir.Constant(integers, list(range(j * tile.lanes, (j + 1) * tile.lanes)))
                chosen = builder.select(builder.icmp_signed(">=", lanes, start), row, identity)
                out = builder.insert_value(out, merge.of(builder, builder.extract_value(out, j), chosen), j)
            return out

        return tile(tile, x, types.intp, types.intp), codegen

    return with_end_of_row


def _by_halves(merge: _Merge) -> Any:
    @intrinsic
    def by_halves(typingctx: Any, tile: Any) -> Any:
        """Reduce a tile to one value: merge its second half with its first until one is left."""

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
    """Fold x[start : start + count], FEWEST elements or more, to one value."""
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
