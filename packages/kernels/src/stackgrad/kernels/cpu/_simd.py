"""A register tile as a Numba type: the inner loop of convolution and matrix product.

`Tile(element, rows, vectors)` is a block of rows x vectors SIMD vectors of WIDE_BYTES each, which LLVM keeps in
registers. A kernel starts one, multiplies and adds in a loop, and stores it:

                    vectors * lanes columns
             w[k]  [w w w w w w w w|w w w w w w w w]      one row of weights, loaded
    x[i       ]  x  + + + + + + + +|+ + + + + + + +
    x[i + step]  x  + + + + + + + +|+ + + + + + + +       tile[r] += x[i + r * step] * w[k : k + columns]
       ...       x  + + + + + + + +|+ + + + + + + +
                 |
                 one value per row, broadcast to all lanes

AVX2 has 16 registers: 6 x 2 uses 12 for the tile, 2 for weights and 1 for x; 14 x 1 is for narrow outputs. AVX-512 has
32 of twice the width. LLVM lowers the vectors on any target. The operations compute addresses themselves, because
Numba's indexing tests each signed index for wrap-around. Literal arguments or global constants give a tile's shape.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ._numba import Lazy, cgutils, intrinsic, types
from ._pointers import data_of
from ._width import IS_WIDE

_REGISTERS = 32 if IS_WIDE else 16
_INDEX = ir.IntType(32)
_BYTES = ir.IntType(8).as_pointer()


Tile: Any = Lazy(f"{__package__}._types", "Tile")


def _vector_at(builder: Any, tile: Any, data: Any, index: Any, j: int = 0) -> Any:
    """A pointer to the j-th vector after data[index]."""
    first = builder.add(index, index.type(j * tile.lanes))
    return builder.bitcast(builder.gep(data, [first]), tile.vector.as_pointer())


def load_row(builder: Any, tile: Any, data: Any, index: Any) -> list[Any]:
    """Load one row of a tile from memory."""
    row = []
    for j in range(tile.vectors):
        vector = builder.load(_vector_at(builder, tile, data, index, j))
        vector.align = tile.element.bitwidth // 8
        row.append(vector)
    return row


def splat(builder: Any, scalar: Any, vector: Any) -> Any:
    """Broadcast `scalar` to all lanes of a vector of that type."""
    undefined = ir.Constant(vector, ir.Undefined)
    lane0 = builder.insert_element(undefined, scalar, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(_INDEX, vector.count), [0] * vector.count)
    return builder.shuffle_vector(lane0, undefined, zeros)


def pointer_to(context: Any, builder: Any, array_type: Any, array: Any, index: Any, target: Any) -> Any:
    """A pointer to array[index], cast to LLVM's type `target`."""
    return builder.bitcast(builder.gep(data_of(context, builder, array_type, array), [index]), target.as_pointer())


def row_of(context: Any, builder: Any, tile: Any, array_type: Any, array: Any, index: Any) -> list[Any]:
    """The vectors of array[index : index + columns]."""
    return load_row(builder, tile, data_of(context, builder, array_type, array), index)


@intrinsic(prefer_literal=True)
def tile_from_row(typingctx: Any, row: Any, index: Any, rows: Any, vectors: Any) -> Any:
    """A tile with row[index : index + columns] in each of its rows."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    tile = Tile(row.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = load_row(builder, tile, data_of(context, builder, signature.args[0], args[0]), args[1])
        out = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
        for i in range(tile.rows * tile.vectors):
            out = builder.insert_value(out, loaded[i % tile.vectors], i)
        return out

    return tile(row, types.intp, rows, vectors), codegen


@intrinsic(prefer_literal=True)
def tile_zeros(typingctx: Any, like: Any, rows: Any, vectors: Any) -> Any:
    """A tile of zeros with the element type of the array `like`."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    tile = Tile(like.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), None)

    return tile(like, rows, vectors), codegen


def _row_pointers(builder: Any, tile: Any, data: Any, position: Any, step: Any) -> list[Any]:
    """Pointers to data[position + r * step] for each row r.

    An x86 address is a base plus an index times 1, 2, 4 or 8: bases three strides apart reach all rows.
    """
    size = tile.element.bitwidth // 8
    step = builder.mul(step, step.type(size))
    bases = [builder.bitcast(builder.gep(data, [position]), _BYTES)]
    for _ in range(3, tile.rows, 3):
        bases.append(builder.gep(bases[-1], [builder.mul(step, step.type(3))]))
    pointers = []
    for r in range(tile.rows):
        base, steps = next((base, r - 3 * i) for i, base in enumerate(bases) if r - 3 * i in (0, 1, 2, 4, 8))
        pointers.append(builder.bitcast(builder.gep(base, [builder.mul(step, step.type(steps))]), data.type))
    return pointers


def _keep_order(builder: Any) -> None:
    """Let no load move across this point: LLVM would hoist more loads than there are registers."""
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)


@intrinsic
def tile_multiply_add(typingctx: Any, tile: Any, x: Any, index: Any, step: Any, w: Any, w_index: Any) -> Any:
    """tile[r] += x[index + r * step] * w[w_index : w_index + columns], for each row r."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, row_step, _, w_position = args
        x_data = data_of(context, builder, signature.args[1], args[1])
        weights = load_row(builder, tile, data_of(context, builder, signature.args[4], args[4]), w_position)
        return _multiply_add(builder, tile, acc, _row_pointers(builder, tile, x_data, position, row_step), weights)

    return tile(tile, x, types.intp, types.intp, w, types.intp), codegen


@intrinsic(prefer_literal=True)
def tile_multiply_add_runs(
    typingctx: Any, tile: Any, x: Any, index: Any, down: Any, w: Any, w_index: Any, runs: Any
) -> Any:
    """Like `tile_multiply_add`, for a tile whose rows are `runs` runs of adjacent elements of x, `down` apart."""
    if not isinstance(runs, types.IntegerLiteral):
        return None
    length = tile.rows // runs.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, to_next, _, w_position, _ = args
        x_data = data_of(context, builder, signature.args[1], args[1])
        weights = load_row(builder, tile, data_of(context, builder, signature.args[4], args[4]), w_position)
        pointers = []
        for _ in range(runs.literal_value):
            first = builder.gep(x_data, [position])
            pointers += [builder.gep(first, [position.type(i)]) for i in range(length)]
            position = builder.add(position, to_next)
        return _multiply_add(builder, tile, acc, pointers, weights)

    return tile(tile, x, types.intp, types.intp, w, types.intp, runs), codegen


@intrinsic
def tile_multiply_add_columns(typingctx: Any, tile: Any, x: Any, index: Any, w: Any, offsets: Any) -> Any:
    """Like `tile_multiply_add`, with adjacent elements of x, and a vector of weights at each of the `offsets` in w."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, _, w_positions = args
        x_data, w_data = (data_of(context, builder, signature.args[i], args[i]) for i in (1, 3))
        weights = []
        for j in range(tile.vectors):
            pointer = builder.gep(w_data, [builder.extract_value(w_positions, j)])
            weights.append(builder.load(builder.bitcast(pointer, tile.vector.as_pointer())))
            weights[-1].align = tile.element.bitwidth // 8
        first = builder.gep(x_data, [position])
        pointers = [builder.gep(first, [position.type(r)]) for r in range(tile.rows)]
        return _multiply_add(builder, tile, acc, pointers, weights)

    return tile(tile, x, types.intp, w, types.UniTuple(types.intp, tile.vectors)), codegen


def _multiply_add(builder: Any, tile: Any, acc: Any, pointers: list[Any], weights: list[Any]) -> Any:
    """Add to each row of the tile the value at the row's pointer times the row of weights."""
    name = f"llvm.fma.v{tile.lanes}f{tile.element.bitwidth}"
    fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(tile.vector, [tile.vector] * 3), name)
    for r, pointer in enumerate(pointers):
        value = splat(builder, builder.load(pointer), tile.vector)
        if r % 3 == 0 and tile.registers >= _REGISTERS - 1:
            _keep_order(builder)
        for j, weight in enumerate(weights):
            i = r * tile.vectors + j
            acc = builder.insert_value(acc, builder.call(fma, [value, weight, builder.extract_value(acc, i)]), i)
    return acc


def halves(builder: Any, vector: Any) -> tuple[Any, Any]:
    """The first and the second half of the lanes."""
    width, undefined = vector.type.count // 2, ir.Constant(vector.type, ir.Undefined)
    parts = [ir.Constant(ir.VectorType(_INDEX, width), list(range(at, at + width))) for at in (0, width)]
    return builder.shuffle_vector(vector, undefined, parts[0]), builder.shuffle_vector(vector, undefined, parts[1])


def _is_wanted(builder: Any, row: int, first: Any, rows: Any) -> Any:
    return builder.and_(
        builder.icmp_signed("<=", first, first.type(row)), builder.icmp_signed(">", rows, rows.type(row))
    )


def put(builder: Any, vector: Any, pointer: Any) -> None:
    builder.store(vector, builder.bitcast(pointer, vector.type.as_pointer())).align = 4


def _add_to(builder: Any, vector: Any, pointer: Any) -> None:
    old = builder.load(pointer)
    old.align = 4
    put(builder, builder.fadd(old, vector), pointer)


def _first_lanes(builder: Any, count: Any, of: int) -> Any:
    """A mask of `of` lanes whose first `count` are set."""
    lanes = ir.VectorType(count.type, of)
    return builder.icmp_signed("<", ir.Constant(lanes, list(range(of))), splat(builder, count, lanes))


def _store_masked(builder: Any, vector: Any, pointer: Any, count: Any) -> None:
    """Store the first `count` lanes, or none if it is 0 or below. (Without AVX-512 this is slow on AMD's chips.)"""
    typ, target = vector.type, builder.bitcast(pointer, vector.type.as_pointer())
    mask = _first_lanes(builder, count, typ.count)
    function = ir.FunctionType(ir.VoidType(), [typ, target.type, _INDEX, mask.type])
    element = {"float": "f32", "double": "f64"}.get(str(typ.element), str(typ.element))
    name = f"llvm.masked.store.v{typ.count}{element}.p0"
    store = cgutils.get_or_insert_function(builder.module, function, name)
    builder.call(store, [vector, target, _INDEX(4), mask])


def _store_lanes(builder: Any, vector: Any, pointer: Any, count: Any, put: Any = put) -> None:
    """Store the first `count` lanes, in groups of 8, 4, 2 and 1."""
    while vector.type.count > 1:
        width = vector.type.count // 2
        low, high = halves(builder, vector)
        present = builder.icmp_unsigned("!=", builder.and_(count, count.type(width)), count.type(0))
        with builder.if_then(present):
            put(builder, low, builder.bitcast(pointer, low.type.as_pointer()))
        vector = builder.select(present, high, low)
        pointer = builder.select(present, builder.gep(pointer, [_INDEX(width)]), pointer)


@intrinsic(prefer_literal=True)
def tile_load(typingctx: Any, out: Any, index: Any, step: Any, rows: Any, vectors: Any) -> Any:
    """A tile with out[index + r * step : ... + columns] in row r: it resumes what `tile_store` stored."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    tile = Tile(out.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, position = data_of(context, builder, signature.args[0], args[0]), args[1]
        acc = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
        for r in range(tile.rows):
            for j, vector in enumerate(load_row(builder, tile, data, position)):
                acc = builder.insert_value(acc, vector, r * tile.vectors + j)
            position = builder.add(position, args[2])
        return acc

    return tile(out, types.intp, types.intp, rows, vectors), codegen


@intrinsic
def tile_store(
    typingctx: Any, tile: Any, out: Any, index: Any, step: Any, first: Any, rows: Any, columns: Any, dense: Any
) -> Any:
    """out[index + r * step : ... + columns] = tile[r], for the rows from `first` to `rows` and `columns` columns.

    Values for an `out` of integers are truncated. `dense` says that rows are adjacent in memory (`columns` is `step`).
    Whole vectors may then be stored if they end within the last row: the next row overwrites the surplus.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, row_step, first_row, row_count, column_count, side_by_side = args
        data = data_of(context, builder, signature.args[1], args[1])
        for r in range(tile.rows):
            rows_left = builder.sub(row_count, row_count.type(r))
            with builder.if_then(_is_wanted(builder, r, first_row, row_count)):
                elements_left = builder.select(side_by_side, builder.mul(rows_left, row_step), column_count)
                for j in range(tile.vectors):
                    vector = builder.extract_value(acc, r * tile.vectors + j)
                    if isinstance(out.dtype, types.Integer):
                        vector = builder.fptosi(vector, ir.VectorType(ir.IntType(out.dtype.bitwidth), tile.lanes))
                    left = builder.sub(column_count, column_count.type(j * tile.lanes))
                    if IS_WIDE:  # also for narrower vectors: it is one instruction of AVX-512
                        _store_masked(builder, vector, _vector_at(builder, tile, data, position, j), left)
                        continue
                    full = builder.icmp_signed(">=", elements_left, left.type((j + 1) * tile.lanes))
                    with (
                        builder.if_then(builder.icmp_signed(">", left, left.type(0))),
                        builder.if_else(full) as (whole, part),
                    ):
                        with whole:
                            put(builder, vector, _vector_at(builder, tile, data, position, j))
                        with part:
                            pointer = builder.gep(data, [builder.add(position, position.type(j * tile.lanes))])
                            _store_lanes(builder, vector, pointer, left)
            position = builder.add(position, row_step)
        return context.get_dummy_value()

    return types.none(tile, out, *[types.intp] * 5, types.boolean), codegen


@intrinsic(prefer_literal=True)
def register_of(typingctx: Any, tile: Any, index: Any) -> Any:
    """A tile with only the register `index` of each row."""
    if not isinstance(index, types.IntegerLiteral):
        return None
    part = Tile(tile.element, tile.rows, 1, tile.lanes * tile.element.bitwidth // 8)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out = ir.Constant(ir.ArrayType(tile.vector, tile.rows), ir.Undefined)
        for r in range(tile.rows):
            vector = builder.extract_value(args[0], r * tile.vectors + index.literal_value)
            out = builder.insert_value(out, vector, r)
        return out

    return part(tile, index), codegen


@intrinsic
def tile_relu(typingctx: Any, tile: Any) -> Any:
    """max(tile, 0) as the op table defines it: NaN passes."""

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

    Rows may overlap: an addition waits for the store of an overlapping row just before it. `alone` says that no other
    thread writes to the vector of memory after the columns, so zeros may be added to it.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        acc, _, position, row_step, row_count, column_count, whole_vectors = args
        data = data_of(context, builder, signature.args[1], args[1])
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
                            chosen = builder.select(_first_lanes(builder, left, tile.lanes), vector, zeros)
                            _add_to(builder, chosen, _vector_at(builder, tile, data, position, j))
                        with part:
                            pointer = builder.gep(data, [builder.add(position, position.type(j * tile.lanes))])
                            _store_lanes(builder, vector, pointer, left, _add_to)
        return context.get_dummy_value()

    return types.none(tile, out, *[types.intp] * 4, types.boolean), codegen
