"""Operations on one vector of adjacent channels. A vector is a tile of one register.

It has VECTOR_BYTES on any CPU, because channels are often few.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ._numba import cgutils, intrinsic, types
from ._simd import Tile, pointer_to, row_of, splat
from ._width import VECTOR_BYTES


def _alone(builder: Any, tile: Any, vector: Any) -> Any:
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
    """`count` adjacent vectors from x[index] on, as one tile."""
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
def vector_of(typingctx: Any, like: Any, value: Any) -> Any:
    """An integer in all lanes, converted to the element type of the array `like`."""
    tile = Tile(like.dtype, 1, 1, VECTOR_BYTES)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _alone(builder, tile, splat(builder, builder.sitofp(args[1], tile.vector.element), tile.vector))

    return tile(like, types.intp), codegen


@intrinsic
def keep_larger(typingctx: Any, best: Any, positions: Any, x: Any, index: Any, position: Any) -> Any:
    """`best` and `positions`, with x[index :] and `position` in the lanes where x is larger than `best` or NaN."""
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
    """total + x[index :], lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row = row_of(context, builder, total, signature.args[1], args[1], args[2])[0]
        return _alone(builder, total, builder.fadd(builder.extract_value(args[0], 0), row))

    return total(total, x, types.intp), codegen


@intrinsic
def over(typingctx: Any, total: Any, integer: Any) -> Any:
    """total / integer, lane by lane."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        divisor = splat(builder, builder.sitofp(args[1], total.vector.element), total.vector)
        return _alone(builder, total, builder.fdiv(builder.extract_value(args[0], 0), divisor))

    return total(total, types.intp), codegen


@intrinsic
def taps_at(typingctx: Any, taps: Any, index: Any, like: Any) -> Any:
    """taps[index : index + lanes], integers, converted to the element type of the array `like`."""
    tile = Tile(like.dtype, 1, 1, VECTOR_BYTES)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        stored = ir.VectorType(ir.IntType(taps.dtype.bitwidth), tile.lanes)
        found = builder.load(pointer_to(context, builder, signature.args[0], args[0], args[1], stored))
        found.align = taps.dtype.bitwidth // 8
        return _alone(builder, tile, builder.sitofp(found, tile.vector))

    return tile(taps, types.intp, like), codegen


def _flipped_where(builder: Any, condition: Any, taps: Any) -> Any:
    return builder.select(condition, builder.fsub(ir.Constant(taps.type, [-1.0] * taps.type.count), taps), taps)


@intrinsic
def flip_unless_positive(typingctx: Any, taps: Any, best: Any) -> Any:
    """`~taps` in the lanes where `best` is 0 or below, else `taps`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found, decides = [builder.extract_value(arg, 0) for arg in args]
        below = builder.fcmp_ordered("<=", decides, cgutils.get_null_value(best.vector))
        return _alone(builder, taps, _flipped_where(builder, below, found))

    return taps(taps, best), codegen


@intrinsic
def flip_back(typingctx: Any, taps: Any) -> Any:
    """Undo `flip_unless_positive`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = builder.extract_value(args[0], 0)
        negative = builder.fcmp_ordered("<", found, cgutils.get_null_value(taps.vector))
        return _alone(builder, taps, _flipped_where(builder, negative, found))

    return taps(taps), codegen


@intrinsic
def where_equal(typingctx: Any, vector: Any, taps: Any, tap: Any) -> Any:
    """`vector` in the lanes where `taps` is `tap`, and 0 in the others."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, found = [builder.extract_value(arg, 0) for arg in args[:2]]
        wanted = splat(builder, builder.sitofp(args[2], taps.vector.element), taps.vector)
        zeros = cgutils.get_null_value(vector.vector)
        return _alone(builder, vector, builder.select(builder.fcmp_ordered("==", found, wanted), value, zeros))

    return vector(vector, taps, types.intp), codegen


@intrinsic
def lanes_in(typingctx: Any, vector: Any) -> Any:
    """The number of lanes of the vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, vector.lanes)

    return types.intp(vector), codegen


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
def relu_grad(typingctx: Any, a: Any, b: Any) -> Any:
    """0 in the lanes where `b` is 0 or below, else `a`, as the op table defines it: NaN in `b` passes `a`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, decides = [builder.extract_value(arg, 0) for arg in args]
        zeros = cgutils.get_null_value(a.vector)
        return _alone(builder, a, builder.select(builder.fcmp_ordered("<=", decides, zeros), zeros, value))

    return a(a, b), codegen
