"""Memory access in kernels, without the tests of Numba's indexing: callers guarantee that every index is in bounds.

A kernel that knows extents and strides from its plan takes a `Memory` for an array of any number of dimensions: a
pointer to the first element.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from ._numba import Lazy, cgutils, intrinsic, types

LINE = 64  # bytes of a cache line
_BYTES = ir.IntType(8).as_pointer()

Memory: Any = Lazy(f"{__package__}._types", "Memory")
Memories: Any = Lazy(f"{__package__}._types", "Memories")


def pointer_after(builder: Any, start: Any, offset: int, typ: Any) -> Any:
    """The pointer of LLVM's type `typ` that is stored `offset` bytes after `start`."""
    field = builder.gep(builder.bitcast(start, _BYTES), [ir.IntType(64)(offset)])
    return builder.load(builder.bitcast(field, typ.as_pointer()))


@intrinsic
def memory_of(typingctx: Any, arrays: Any, index: Any) -> Any:
    """The memory of the array with that index, which must be in bounds."""
    memory = Memory(arrays.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointers = builder.bitcast(args[0], _BYTES.as_pointer())
        array = builder.load(builder.gep(pointers, [args[1]]))
        return pointer_after(builder, array, object.__basicsize__, context.get_value_type(memory))

    return memory(arrays, types.intp), codegen


def data_of(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """A pointer to the first element."""
    if isinstance(array_type, Memory):
        return array
    return context.make_array(array_type)(context, builder, array).data


@intrinsic
def size_of(typingctx: Any, a: Any) -> Any:
    """Bytes of an element of the array `a`. (`a.itemsize` would be a load, not a constant for LLVM.)"""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(a.dtype)))

    return types.intp(a), codegen


@intrinsic
def load(typingctx: Any, a: Any, index: Any) -> Any:
    """a[index] of a flat array; the index must be in bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.gep(data_of(context, builder, signature.args[0], args[0]), [args[1]])
        return context.unpack_value(builder, signature.return_type, pointer)

    return a.dtype(a, types.intp), codegen


@intrinsic
def store(typingctx: Any, a: Any, index: Any, value: Any) -> Any:
    """a[index] = value in a flat array; the index must be in bounds."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.gep(data_of(context, builder, signature.args[0], args[0]), [args[1]])
        context.pack_value(builder, signature.args[2], args[2], pointer)
        return context.get_dummy_value()

    return types.none(a, types.intp, a.dtype), codegen


@intrinsic
def select(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """`a` if the condition holds, else `b`, without a branch, which would often be mispredicted."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(args[0], args[1], args[2])

    return a(types.boolean, a, a), codegen


@intrinsic
def fma(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """x * y + z, rounded once."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return x(x, x, x), codegen


@intrinsic(prefer_literal=True)
def on_stack(typingctx: Any, like: Any, count: Any) -> Any:
    """Uninitialised memory for `count` elements of the type of `like`, which lives until the kernel returns.

    It is aligned to a cache line, so that no vector straddles two.
    """
    if not isinstance(count, types.IntegerLiteral):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        memory = cgutils.alloca_once(builder, context.get_data_type(like.dtype), size=count.literal_value)
        memory.align = LINE
        return memory

    return Memory(like.dtype)(like, count), codegen


@intrinsic
def from_line(typingctx: Any, a: Any) -> Any:
    """The memory of `a` from its first cache line boundary on, so that no vector straddles two lines."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.ptrtoint(args[0], ir.IntType(64))
        line = builder.and_(builder.add(address, address.type(LINE - 1)), address.type(-LINE))
        return builder.inttoptr(line, args[0].type)

    return a(a), codegen


@intrinsic
def in_register(typingctx: Any, value: Any) -> Any:
    """The integer, with its origin hidden from LLVM, which would otherwise load it again in each round of a loop."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.asm(ir.FunctionType(args[0].type, [args[0].type]), "", "=r,0", args, False)

    return value(value), codegen


# Arrays of any strides: offsets are in bytes.


def _pointer_at(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = data_of(context, builder, array_type, array)
    pointer = builder.gep(builder.bitcast(data, _BYTES), [offset])
    return builder.bitcast(pointer, data.type)


def _scope(builder: Any) -> Any:
    """The alias scope of all that `load_at` reads, in all chunks; a store that is `noalias` with it overlaps none."""
    module = builder.module
    domain = module.add_metadata(["stackgrad"])
    return module.add_metadata([module.add_metadata(["operands", domain])])


def _stored_at(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data = context.data_model_manager[signature.args[2]].as_data(builder, args[2])
    return builder.store(data, _pointer_at(context, builder, signature.args[0], *args[:2]))


@intrinsic
def load_at(typingctx: Any, a: Any, offset: Any) -> Any:
    """The element of `a` at a byte offset."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        loaded = builder.load(_pointer_at(context, builder, signature.args[0], *args))
        loaded.set_metadata("alias.scope", _scope(builder))
        return context.data_model_manager[signature.return_type].from_data(builder, loaded)

    return a.dtype(a, types.intp), codegen


@intrinsic
def store_at(typingctx: Any, a: Any, offset: Any, value: Any) -> Any:
    """Write the element of `a` at a byte offset."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _stored_at(context, builder, signature, args)
        return context.get_dummy_value()

    return types.none(a, types.intp, a.dtype), codegen


@intrinsic
def store_apart_at(typingctx: Any, a: Any, offset: Any, value: Any) -> Any:
    """Write the element of `a` at a byte offset that no chunk reads by `load_at`: LLVM then needs no overlap test."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _stored_at(context, builder, signature, args).set_metadata("noalias", _scope(builder))
        return context.get_dummy_value()

    return types.none(a, types.intp, a.dtype), codegen
