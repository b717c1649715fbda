"""Tiles that are transposed as they are loaded or stored: lanes hold strided elements, such as one channel of pixels.

memory   |a0 b0 c0 d0|a1 b1 c1 d1| ...       rows   a0 a1 a2 ...
                                                    b0 b1 b2 ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from ._numba import intrinsic, types
from ._pointers import data_of
from ._simd import Tile, load_row, put, row_of, splat
from ._width import WIDE_BYTES

_INDEX = ir.IntType(32)


def _shuffle(builder: Any, a: Any, b: Any, lanes: Sequence[int | None]) -> Any:
    """A vector of these lanes of the concatenation of a and b; None stands for any lane."""
    mask = [i if lane is None else lane for i, lane in enumerate(lanes)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INDEX, len(mask)), mask))


def _deinterleaved(builder: Any, vectors: list[Any]) -> list[Any]:
    """Deinterleave vectors: the channels, as many as there are vectors, a power of two."""
    if len(vectors) == 1:
        return vectors
    lanes, halves = vectors[0].type.count, []
    for first in (0, 1):
        every_second = list(range(first, 2 * lanes, 2))
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        halves.append(_deinterleaved(builder, [_shuffle(builder, a, b, every_second) for a, b in pairs]))
    return [vector for pair in zip(*halves, strict=True) for vector in pair]


def _interleaved(builder: Any, rows: list[Any]) -> list[Any]:
    """Interleave an even number of rows into as many vectors."""
    lanes, count = rows[0].type.count, len(rows)
    pairs = []  # two rows interleaved, as two vectors
    for a, b in zip(rows[::2], rows[1::2], strict=True):
        for first in (0, lanes // 2):
            both = [lane for i in range(first, first + lanes // 2) for lane in (i, lanes + i)]
            pairs.append(_shuffle(builder, a, b, both))
    out = []
    for start in range(0, count * lanes, lanes):
        sources: dict[int, list[int | None]] = {}
        for lane in range(lanes):
            pixel, row = divmod(start + lane, count)
            at = 2 * pixel + row % 2
            sources.setdefault(row // 2 * 2 + at // lanes, [None] * lanes)[lane] = at % lanes
        (source, merged), *others = sources.items()
        vector = pairs[source]
        if not others:
            vector = _shuffle(builder, vector, vector, merged)
        for source, wanted in others:
            mask = [m if w is None else lanes + w for m, w in zip(merged, wanted, strict=True)]
            vector = _shuffle(builder, vector, pairs[source], mask)
            merged = [None if m is None else lane for lane, m in enumerate(mask)]
        out.append(vector)
    return out


@intrinsic
def tile_of_columns(typingctx: Any, x: Any, index: Any, step: Any, count: Any) -> Any:
    """A square tile, with as many rows as a register has lanes, whose columns are the vectors x[index + c * step :].

    If there are fewer columns, `count`, the last one is repeated.

    The transposition exchanges blocks across the diagonal: halves of the tile, quarters, and so on.
    """
    lanes = WIDE_BYTES * 8 // x.dtype.bitwidth
    tile = Tile(x.dtype, lanes, 1)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data, column = data_of(context, builder, signature.args[0], args[0]), args[1]
        rows = []
        for c in range(1, lanes + 1):
            rows += load_row(builder, tile, data, column)
            another = builder.icmp_signed(">", args[3], args[3].type(c))
            column = builder.select(another, builder.add(column, args[2]), column)
        block = lanes // 2
        while block:
            low = [lane if not lane & block else lanes + lane - block for lane in range(lanes)]
            high = [lane + block if not lane & block else lanes + lane for lane in range(lanes)]
            for r in range(lanes):
                if not r & block:
                    pair = rows[r], rows[r + block]
                    for to, order in ((r, low), (r + block, high)):
                        rows[to] = builder.shuffle_vector(*pair, ir.Constant(ir.VectorType(_INDEX, lanes), order))
            block //= 2
        out = ir.Constant(ir.ArrayType(tile.vector, lanes), ir.Undefined)
        for r, row in enumerate(rows):
            out = builder.insert_value(out, row, r)
        return out

    return tile(x, types.intp, types.intp, types.intp), codegen


@intrinsic(prefer_literal=True)
def tile_of_planes(typingctx: Any, x: Any, index: Any, channels: Any) -> Any:
    """A tile of `channels` channels, a power of two, by the pixels that begin at x[index]."""
    if not isinstance(channels, types.IntegerLiteral):
        return None
    tile, count = Tile(x.dtype, channels.literal_value, 1), channels.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = []
        for i in range(count):
            at = builder.add(args[1], args[1].type(i * tile.lanes))
            vectors += row_of(context, builder, tile, signature.args[0], args[0], at)
        out = ir.Constant(ir.ArrayType(tile.vector, count), ir.Undefined)
        for i, vector in enumerate(_deinterleaved(builder, vectors)):
            out = builder.insert_value(out, vector, i)
        return out

    return tile(x, types.intp, channels), codegen


@intrinsic(prefer_literal=True)
def tile_from_column(typingctx: Any, column: Any, index: Any, rows: Any, vectors: Any) -> Any:
    """A tile with column[index + r] in all lanes of row r."""
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(vectors, types.IntegerLiteral)):
        return None
    tile = Tile(column.dtype, rows.literal_value, vectors.literal_value)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = builder.gep(data_of(context, builder, signature.args[0], args[0]), [args[1]])
        out = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
        for r in range(tile.rows):
            vector = splat(builder, builder.load(builder.gep(first, [args[1].type(r)])), tile.vector)
            for j in range(tile.vectors):
                out = builder.insert_value(out, vector, r * tile.vectors + j)
        return out

    return tile(column, types.intp, rows, vectors), codegen


@intrinsic
def tile_store_pixels(typingctx: Any, tile: Any, out: Any, offsets: Any) -> Any:
    """Store an even number of rows as channels: the pixels of the j-th vector of each row begin at out[offsets[j]]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = data_of(context, builder, signature.args[1], args[1])
        for j in range(tile.vectors):
            rows = [builder.extract_value(args[0], r * tile.vectors + j) for r in range(tile.rows)]
            first = builder.gep(data, [builder.extract_value(args[2], j)])
            for i, vector in enumerate(_interleaved(builder, rows)):
                put(builder, vector, builder.gep(first, [_INDEX(i * tile.lanes)]))
        return context.get_dummy_value()

    return types.none(tile, out, types.UniTuple(types.intp, tile.vectors)), codegen
