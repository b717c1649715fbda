"""One vector at a time: what is done to neighbouring channels at once. A vector is a tile of one register.

It has VECTOR_BYTES on any CPU: channels are often few.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._simd import Tile, pointer_to, row_of, splat
from ._width import VECTOR_BYTES


def _alone(builder: Any, tile: Tile, vector: Any) -> Any:
    """The vector as a tile."""
    return builder.insert_value(ir.Constant(ir.ArrayType(tile.vector, 1), ir.Undefined), vector, 0)


@intrinsic
def vector_at(typingctx: Any, x: Any, index: Any) -> Any:
    """x[index : index + lanes]."""
    tile = Tile(x.dtype, 1, 1, VECTOR_BYTES)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _alone(builder, tile, row_of(context, builder, tile, signature.args[0], args[0], args[1])[0])

    return tile(x, types.intp), codegen


@intrinsic(prefer_literal=True)
def vectors_at(typingctx: Any, x: Any, index: Any, count: Any) -> Any:
    """So many vectors that lie side by side, from x[index] on, as one tile."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    tile = Tile(x.dtype, 1, count.literal_value, VECTOR_BYTES)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = ir.Constant(ir.ArrayType(tile.vector, tile.vectors), ir.Undefined)
        for j, vector in enumerate(row_of(context, builder, tile, signature.args[0], args[0], args[1])):
            out = builder.insert_value(out, vector, j)
        return out

    return tile(x, types.intp, count), codegen


@intrinsic
def vector_of(typingctx: Any, like: Any, number: Any) -> Any:
    """A whole number in all lanes, as an element of the array `like`."""
    tile = Tile(like.dtype, 1, 1, VECTOR_BYTES)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _alone(builder, tile, splat(builder, builder.sitofp(args[1], tile.vector.element), tile.vector))

    return tile(like, types.intp), codegen


@intrinsic
def keep_larger(typingctx: Any, best: Any, places: Any, x: Any, index: Any, place: Any) -> Any:
    """`best` and `places`, with the lanes of x[index :] that are larger or NaN, and `place` for them."""
    both = types.Tuple((best, best))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        old, where = builder.extract_value(args[0], 0), builder.extract_value(args[1], 0)
        new = row_of(context, builder, best, signature.args[2], args[2], args[3])[0]
        better = builder.or_(builder.fcmp_ordered(">", new, old), builder.fcmp_unordered("uno", new, new))
        here = splat(builder, builder.sitofp(args[4], best.vector.element), best.vector)
        parts = [builder.select(better, new, old), builder.select(better, here, where)]
        return context.make_tuple(builder, both, [_alone(builder, best, part) for part in parts])

    return both(best, best, x, types.intp, types.intp), codegen


@intrinsic
def plus(typingctx: Any, total: Any, x: Any, index: Any) -> Any:
    """`total` and x[index :] added, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = row_of(context, builder, total, signature.args[1], args[1], args[2])[0]
        return _alone(builder, total, builder.fadd(builder.extract_value(args[0], 0), row))

    return total(total, x, types.intp), codegen


@intrinsic
def over(typingctx: Any, total: Any, number: Any) -> Any:
    """`total` divided by a whole number, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        divisor = splat(builder, builder.sitofp(args[1], total.vector.element), total.vector)
        return _alone(builder, total, builder.fdiv(builder.extract_value(args[0], 0), divisor))

    return total(total, types.intp), codegen


@intrinsic
def where_equal(typingctx: Any, x: Any, places: Any, index: Any, place: Any) -> Any:
    """x[index :] in the lanes where places[index :], of int32, is `place`, and 0 in the others."""
    tile = Tile(x.dtype, 1, 1, VECTOR_BYTES)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = row_of(context, builder, tile, signature.args[0], args[0], args[2])[0]
        integers = ir.VectorType(ir.IntType(32), tile.lanes)
        found = builder.load(pointer_to(context, builder, signature.args[1], args[1], args[2], integers))
        found.align = 4
        wanted = splat(builder, builder.trunc(args[3], integers.element), integers)
        zeros = cgutils.get_null_value(tile.vector)
        return _alone(builder, tile, builder.select(builder.icmp_signed("==", found, wanted), row, zeros))

    return tile(x, places, types.intp, types.intp), codegen


@intrinsic
def add(typingctx: Any, a: Any, b: Any) -> Any:
    """a + b, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _alone(builder, a, builder.fadd(*[builder.extract_value(arg, 0) for arg in args]))

    return a(a, b), codegen


@intrinsic
def subtract(typingctx: Any, a: Any, b: Any) -> Any:
    """a - b, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _alone(builder, a, builder.fsub(*[builder.extract_value(arg, 0) for arg in args]))

    return a(a, b), codegen


@intrinsic
def multiply_add(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, lane by lane, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.fma.v{a.lanes}f{a.element.bitwidth}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(a.vector, [a.vector] * 3), name)
        return _alone(builder, a, builder.call(fma, [builder.extract_value(arg, 0) for arg in args]))

    return a(a, b, c), codegen


@intrinsic
def masked_by(typingctx: Any, a: Any, b: Any) -> Any:
    """0 in the lanes where `b` is 0 or below, and `a` in the others, as the op table has it: also where `b` is NaN."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, decides = [builder.extract_value(arg, 0) for arg in args]
        zeros = cgutils.get_null_value(a.vector)
        return _alone(builder, a, builder.select(builder.fcmp_ordered("<=", decides, zeros), zeros, value))

    return a(a, b), codegen
