"""The Numba types of this package. Only modules that compile import it."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from ._width import WIDE_BYTES


class Memory(types.Type):
    """The address of the first element of a NumPy array, and its dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(f"Memory({dtype})")


@register_model(Memory)
class _MemoryModel(models.PointerModel):
    pass


class Memories(types.Type):
    """A tuple of any number of NumPy arrays of one dtype; `memory_of` gives the memory of each."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(f"Memories({dtype})")


register_model(Memories)(models.OpaqueModel)


class Tile(types.Type):
    """rows x vectors registers of `element`, of `size` bytes each (see _simd)."""

    def __init__(self, element: Any, rows: int, vectors: int, size: int = WIDE_BYTES) -> None:
        self.element, self.rows, self.vectors = element, rows, vectors
        self.lanes = size * 8 // element.bitwidth
        self.vector = ir.VectorType(ir.FloatType() if element.bitwidth == 32 else ir.DoubleType(), self.lanes)
        self.registers = (rows + 1) * vectors  # including a row of weights
        super().__init__(f"Tile({element}, {rows}, {vectors}, {size})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.vectors))
