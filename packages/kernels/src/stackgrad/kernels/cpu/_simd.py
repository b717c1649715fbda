"""A register tile as a Numba type: the inner loop of convolution and matrix product.

`Tile(element, rows, vectors)` is a block of rows x vectors SIMD registers, of 8 float32 or 4 float64 each, that
LLVM keeps in registers. A kernel starts one, multiplies and adds in a loop, and stores it:

                    vectors * LANES columns
             w[k]  [w w w w w w w w|w w w w w w w w]      one row of weights, loaded
    x[i       ]  x  + + + + + + + +|+ + + + + + + +
    x[i + step]  x  + + + + + + + +|+ + + + + + + +       tile[r] += x[i + r * step] * w[k : k + columns]
       ...       x  + + + + + + + +|+ + + + + + + +
                 |
                 one number a row, repeated in all lanes

AVX2 has 16 registers: 6 x 2 uses 12 for the tile, 2 for weights and 1 for x; 14 x 1 serves narrow outputs. LLVM
lowers the vectors on any target. The operations address memory by themselves: an ordinary signed index costs a
wrap-around test each. The shape of the tile is given by literal arguments or global constants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model
from numba.np.arrayobj import populate_array

VECTOR_BYTES = 32
_INDEX = ir.IntType(32)


def lanes(dtype: np.dtype[Any]) -> int:
    """Elements of `dtype` in one vector."""
    return VECTOR_BYTES // dtype.itemsize


class Tile(types.Type):
    """rows x vectors registers of `element`s."""

    def __init__(self, element: Any, rows: int, vectors: int) -> None:
        self.element, self.rows, self.vectors = element, rows, vectors
        self.lanes = VECTOR_BYTES * 8 // element.bitwidth
        self.vector = ir.VectorType(ir.FloatType() if element.bitwidth == 32 else ir.DoubleType(), self.lanes)
        super().__init__(f"Tile({element}, {rows}, {vectors})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.vectors))


def _data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, builder, array).data


def _vector_at(builder: Any, tile: Tile, data: Any, index: Any, j: int = 0) -> Any:
    """A pointer to the j-th vector from data[index] on."""
    place = builder.add(index, index.type(j * tile.lanes))
    return builder.bitcast(builder.gep(data, [place]), tile.vector.as_pointer())


def _load(builder: Any, tile: Tile, data: Any, index: Any) -> list[Any]:
    """One row of the tile from memory."""
    row = []
    for j in range(tile.vectors):
        vector = builder.load(_vector_at(builder, tile, data, index, j))
        vector.align = tile.element.bitwidth // 8
        row.append(vector)
    return row


def splat(builder: Any, tile: Tile, scalar: Any) -> Any:
    """`scalar` in all lanes."""
    return _repeated(builder, scalar, tile.vector)


def _repeated(builder: Any, scalar: Any, vector: Any) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    lane0 = builder.insert_element(undefined, scalar, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(_INDEX, vector.count), [0] * vector.count)
    return builder.shuffle_vector(lane0, undefined, zeros)


def pointer_to(context: Any, builder: Any, array_type: Any, array: Any, index: Any, kind: Any) -> Any:
    """A pointer to array[index] as to a value of LLVM's type `kind`."""
    return builder.bitcast(builder.gep(_data(context, builder, array_type, array), [index]), kind.as_pointer())


def row_of(context: Any, builder: Any, tile: Tile, array_type: Any, array: Any, index: Any) -> list[Any]:
    """The vectors of array[index : index + columns]."""
    return _load(builder, tile, _data(context, builder, array_type, array), index)


@intrinsic(prefer_literal=True)
def tile_from_row(typingctx: Any, row: Any, index: Any, rows: Any, vectors: Any) -> Any:
    """A tile with row[index : index + columns] in each of its rows."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    tile = Tile(row.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = _load(builder, tile, _data(context, builder, signature.args[0], args[0]), args[1])
        out = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
        for i in range(tile.rows * tile.vectors):
            out = builder.insert_value(out, loaded[i % tile.vectors], i)
        return out

    return tile(row, types.intp, rows, vectors), codegen


@intrinsic(prefer_literal=True)
def tile_zeros(typingctx: Any, like: Any, rows: Any, vectors: Any) -> Any:
    """A tile of zeros, its elements those of the array `like`."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    tile = Tile(like.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), None)

    return tile(like, rows, vectors), codegen


@intrinsic
def tile_multiply_add(typingctx: Any, tile: Any, x: Any, index: Any, step: Any, w: Any, w_index: Any) -> Any:
    """tile[r] += x[index + r * step] * w[w_index : w_index + columns], for each row r."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, row_step, _, w_position = args
        x_data = _data(context, builder, signature.args[1], args[1])
        weights = _load(builder, tile, _data(context, builder, signature.args[4], args[4]), w_position)
        name = f"llvm.fma.v{tile.lanes}f{tile.element.bitwidth}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(tile.vector, [tile.vector] * 3), name)
        for r in range(tile.rows):
            value = splat(builder, tile, builder.load(builder.gep(x_data, [position])))
            for j, weight in enumerate(weights):
                i = r * tile.vectors + j
                acc = builder.insert_value(acc, builder.call(fma, [value, weight, builder.extract_value(acc, i)]), i)
            position = builder.add(position, row_step)
        return acc

    return tile(tile, x, types.intp, types.intp, w, types.intp), codegen


def _is_wanted(builder: Any, row: int, first: Any, rows: Any) -> Any:
    return builder.and_(
        builder.icmp_signed("<=", first, first.type(row)), builder.icmp_signed(">", rows, rows.type(row))
    )


def _put(builder: Any, vector: Any, pointer: Any) -> None:
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer())).align = 4


def _add_to(builder: Any, vector: Any, pointer: Any) -> None:
    old = builder.load(pointer)
    old.align = 4
    _put(builder, builder.fadd(old, vector), pointer)


def _store_lanes(builder: Any, vector: Any, pointer: Any, count: Any, put: Any = _put) -> None:
    """Store the first `count` lanes, in pieces of 4, 2 and 1: on AMD's chips a masked store takes longer."""
    while vector.type.count > 1:
        width = vector.type.count // 2
        undefined, index_type = ir.Constant(vector.type, ir.Undefined), ir.VectorType(_INDEX, width)
        low = builder.shuffle_vector(vector, undefined, ir.Constant(index_type, list(range(width))))
        high = builder.shuffle_vector(vector, undefined, ir.Constant(index_type, list(range(width, 2 * width))))
        present = builder.icmp_unsigned("!=", builder.and_(count, count.type(width)), count.type(0))
        with builder.if_then(present):
            put(builder, low, builder.bitcast(pointer, low.type.as_pointer()))
        vector = builder.select(present, high, low)
        pointer = builder.select(present, builder.gep(pointer, [_INDEX(width)]), pointer)


@intrinsic(prefer_literal=True)
def tile_load(typingctx: Any, out: Any, index: Any, step: Any, rows: Any, vectors: Any) -> Any:
    """A tile with out[index + r * step : ... + columns] in row r: what `tile_store` stored there, to go on from."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    tile = Tile(out.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, position = _data(context, builder, signature.args[0], args[0]), args[1]
        acc = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
        for r in range(tile.rows):
            for j, vector in enumerate(_load(builder, tile, data, position)):
                acc = builder.insert_value(acc, vector, r * tile.vectors + j)
            position = builder.add(position, args[2])
        return acc

    return tile(out, types.intp, types.intp, rows, vectors), codegen


@intrinsic
def tile_store(
    typingctx: Any, tile: Any, out: Any, index: Any, step: Any, first: Any, rows: Any, columns: Any, dense: Any
) -> Any:
    """out[index + r * step : ... + columns] = tile[r], for the rows from `first` to `rows` and `columns` columns.

    An `out` of integers takes the numbers without their fractions. `dense` says that the rows lie side by side,
    `columns` being `step`: whole vectors may then be stored as long as they end within the last row, since later rows
    write over what is too much.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, row_step, first_row, row_count, column_count, side_by_side = args
        data = _data(context, builder, signature.args[1], args[1])
        for r in range(tile.rows):
            rows_left = builder.sub(row_count, row_count.type(r))
            with builder.if_then(_is_wanted(builder, r, first_row, row_count)):
                elements_left = builder.select(side_by_side, builder.mul(rows_left, row_step), column_count)
                for j in range(tile.vectors):
                    vector = builder.extract_value(acc, r * tile.vectors + j)
                    if isinstance(out.dtype, types.Integer):
                        vector = builder.fptosi(vector, ir.VectorType(ir.IntType(out.dtype.bitwidth), tile.lanes))
                    left = builder.sub(column_count, column_count.type(j * tile.lanes))
                    full = builder.icmp_signed(">=", elements_left, left.type((j + 1) * tile.lanes))
                    with (
                        builder.if_then(builder.icmp_signed(">", left, left.type(0))),
                        builder.if_else(full) as (whole, part),
                    ):
                        with whole:
                            _put(builder, vector, _vector_at(builder, tile, data, position, j))
                        with part:
                            pointer = builder.gep(data, [builder.add(position, position.type(j * tile.lanes))])
                            _store_lanes(builder, vector, pointer, left)
            position = builder.add(position, row_step)
        return context.get_dummy_value()

    return types.none(tile, out, *[types.intp] * 5, types.boolean), codegen


@intrinsic
def tile_relu(typingctx: Any, tile: Any) -> Any:
    """max(tile, 0), as the op table has it: NaN stays."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, zeros = args[0], cgutils.get_null_value(tile.vector)
        for i in range(tile.rows * tile.vectors):
            vector = builder.extract_value(acc, i)
            below = builder.fcmp_ordered("<", vector, zeros)
            acc = builder.insert_value(acc, builder.select(below, zeros, vector), i)
        return acc

    return tile(tile), codegen


@intrinsic
def tile_add(typingctx: Any, tile: Any, out: Any, index: Any, step: Any, rows: Any, columns: Any, alone: Any) -> Any:
    """out[index + r * step : ... + columns] += tile[r] for the first `rows` rows, every third one before the others.

    Where a row reaches into the next ones, these would wait for its store. `alone` says that nobody else writes to the
    memory behind, of up to a vector: zeros may be added to it.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, row_step, row_count, column_count, whole_vectors = args
        data = _data(context, builder, signature.args[1], args[1])
        lane_type = ir.VectorType(column_count.type, tile.lanes)
        zeros = cgutils.get_null_value(tile.vector)
        for r in sorted(range(tile.rows), key=lambda r: r % 3):
            position = builder.add(args[2], builder.mul(row_step, row_step.type(r)))
            with builder.if_then(builder.icmp_signed(">", row_count, row_count.type(r))):
                for j in range(tile.vectors):
                    vector = builder.extract_value(acc, r * tile.vectors + j)
                    left = builder.sub(column_count, column_count.type(j * tile.lanes))
                    full = builder.or_(builder.icmp_signed(">=", left, left.type(tile.lanes)), whole_vectors)
                    with (
                        builder.if_then(builder.icmp_signed(">", left, left.type(0))),
                        builder.if_else(full) as (whole, part),
                    ):
                        with whole:
                            numbers = ir.Constant(lane_type, list(range(tile.lanes)))
                            wanted = builder.icmp_signed("<", numbers, _repeated(builder, left, lane_type))
                            chosen = builder.select(wanted, vector, zeros)
                            _add_to(builder, chosen, _vector_at(builder, tile, data, position, j))
                        with part:
                            pointer = builder.gep(data, [builder.add(position, position.type(j * tile.lanes))])
                            _store_lanes(builder, vector, pointer, left, _add_to)
        return context.get_dummy_value()

    return types.none(tile, out, *[types.intp] * 4, types.boolean), codegen


@intrinsic
def size_of(typingctx: Any, a: Any) -> Any:
    """Bytes of an element of the array `a`. (`a.itemsize` is read from memory: LLVM would not know it.)"""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(a.dtype)))

    return types.intp(a), codegen


@intrinsic
def lanes_of(typingctx: Any, a: Any) -> Any:
    """Elements of the array `a` in a vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, VECTOR_BYTES * 8 // a.dtype.bitwidth)

    return types.intp(a), codegen


@intrinsic
def load(typingctx: Any, a: Any, index: Any) -> Any:
    """a[index] of a flat array, for an index known to lie inside."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.gep(_data(context, builder, signature.args[0], args[0]), [args[1]])
        return context.unpack_value(builder, signature.return_type, pointer)

    return a.dtype(a, types.intp), codegen


@intrinsic
def store(typingctx: Any, a: Any, index: Any, value: Any) -> Any:
    """a[index] = value in a flat array, for an index known to lie inside."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.gep(_data(context, builder, signature.args[0], args[0]), [args[1]])
        context.pack_value(builder, signature.args[2], args[2], pointer)
        return context.get_dummy_value()

    return types.none(a, types.intp, a.dtype), codegen


@intrinsic
def select(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """`a` where the condition holds, else `b`, without a branch, which would be mispredicted as often as not."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(args[0], args[1], args[2])

    return a(types.boolean, a, a), codegen


@intrinsic(prefer_literal=True)
def on_stack(typingctx: Any, like: Any, count: Any) -> Any:
    """An array of `count` elements like those of `like`, not set, which lives until the kernel returns."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    array_type = types.Array(like.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        element = context.get_data_type(like.dtype)
        data = cgutils.alloca_once(builder, element, size=count.literal_value)
        array, size = context.make_array(array_type)(context, builder), context.get_abi_sizeof(element)
        word = context.get_value_type(types.intp)
        extents = (cgutils.pack_array(builder, [word(n)]) for n in (count.literal_value, size))
        populate_array(array, data, *extents, word(size), None)
        return array._getvalue()

    return array_type(like, count), codegen


# Arrays of any strides: places are counted in bytes.


def _pointer_at(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
    data = _data(context, builder, array_type, array)
    pointer = builder.gep(builder.bitcast(data, ir.IntType(8).as_pointer()), [position])
    return builder.bitcast(pointer, data.type)


@intrinsic
def load_at(typingctx: Any, a: Any, position: Any) -> Any:
    """The element of `a` at a place."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.unpack_value(
            builder, signature.return_type, _pointer_at(context, builder, signature.args[0], *args)
        )

    return a.dtype(a, types.intp), codegen


@intrinsic
def store_at(typingctx: Any, a: Any, position: Any, value: Any) -> Any:
    """Write the element of `a` at a place."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer_at(context, builder, signature.args[0], *args[:2])
        context.pack_value(builder, signature.args[2], args[2], pointer)
        return context.get_dummy_value()

    return types.none(a, types.intp, a.dtype), codegen
