"""The machine code that runs the chunks of a kernel on all cores. Only code that compiles imports this module.

A kernel is a function of a chunk index and of arguments that all chunks share; it writes its results into arrays among
them. Chunks run in any order, on any thread, so none may depend on another. The number of chunks depends on the data
alone, so results are bitwise equal for any number of threads.

Numba's own parallel loops compile the body about four times, and the machinery of the loop again in each function that
calls it. Here a single loop, compiled once and found by name, calls any kernel through a pointer:

    entry(chunks, team, arguments, 0)              compiled for each kernel, a C function that Python calls
        LAUNCH(thunk, &shared, chunks, team)       the one loop, on the threads of the team (see _team)
            thunk(chunk, &shared)                  unpacks the arguments
                body(chunk, *arguments)            the kernel

Given an address in place of the 0, the entry stores the shared arguments there and returns the thunk's address, which
is what `replay` needs to launch the kernel again.

The entry reads its arguments from Python's objects by their memory layout. So the object code refers to nothing of
Numba's, and a process that loads it from disk does not import Numba.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba.core import cgutils, compiler, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from ._library import ObjectCode, flags
from ._pointers import pointer_after
from ._team import LAUNCH, THUNK_TYPE
from ._types import Memories, Memory

_WORD = ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()
_LAUNCH = ir.FunctionType(ir.VoidType(), [_WORD] * 4)
_FAST_CALL = ir.FunctionType(_POINTER, [_POINTER, _POINTER.as_pointer(), _WORD])  # see _machine_code

# Writes a C function into a module, given its name, the body's signature, and a function that calls the body.
_CallBody = Callable[[Any, Any], Any]  # given a builder and arguments; its status and its result
_Write = Callable[[Any, str, Any, _CallBody], None]


def object_code(body: Callable[..., Any], call: Any, write: _Write, name: str) -> bytes:
    """Compile the body for the signature `call`; return object code of the C function that `write` makes of it."""
    with global_compiler_lock:
        library = ObjectCode(cpu_target.target_context.codegen(), name)
        _compile_into(library, body, call, write, name)
        return library.emit()


def address_of(body: Callable[..., Any], call: Any, write: _Write, name: str) -> int:
    """The same in Numba's own engine; return the address. Such code may refer to any code that Numba has compiled."""
    with global_compiler_lock:
        library = cpu_target.target_context.codegen().create_library(name)
        _compile_into(library, body, call, write, name)
        library.finalize()
        return int(library.get_pointer_to_function(name))


def _compile_into(library: Any, body: Callable[..., Any], call: Any, write: _Write, name: str) -> None:
    """Compile body and C function into one library: LLVM then optimises them once, together."""
    typing, context = cpu_target.typing_context, cpu_target.target_context
    typing.refresh()
    context.refresh()
    compiled = compiler.compile_internal(typing, context, library, body, call.args, call.return_type, flags(), {})
    module = library.create_ir_module(name)

    def call_body(builder: Any, arguments: Any) -> Any:
        return context.call_internal_no_propagate(builder, compiled.fndesc, call, arguments)

    write(module, name, call, call_body)
    library.add_ir_module(module)
    # LLVM drops the function itself once it is inlined.
    library._final_module.get_function(compiled.fndesc.llvm_func_name).linkage = "linkonce_odr"


def write_entry(module: Any, name: str, call: Any, call_body: _CallBody) -> None:
    """Write the entry of a kernel. It returns 1 if the body raised for some chunk, else 0."""
    context, operands = cpu_target.target_context, call.args[1:]
    shared_type = ir.LiteralStructType([_WORD, *[context.get_value_type(typ) for typ in operands]])

    thunk = ir.Function(module, THUNK_TYPE, f"{name}.thunk")
    thunk.linkage = "internal"
    inside = ir.IRBuilder(thunk.append_basic_block())
    struct = inside.bitcast(thunk.args[1], shared_type.as_pointer())
    unpacked = [inside.load(cgutils.gep_inbounds(inside, struct, 0, i + 1)) for i in range(len(operands))]
    status, _ = call_body(inside, [thunk.args[0], *unpacked])
    with inside.if_then(status.is_error, likely=False):
        inside.store(_WORD(1), cgutils.gep_inbounds(inside, struct, 0, 0))
    inside.ret_void()

    builder = _python_function(module, name)
    chunks, team, memory = (_argument(builder, types.intp, i) for i in (0, 1, 3))
    arguments = _argument(builder, types.Tuple(operands), 2)
    here = cgutils.alloca_once(builder, shared_type)
    is_kept = builder.icmp_unsigned("!=", memory, _WORD(0))
    shared = builder.select(is_kept, builder.inttoptr(memory, here.type), here)
    builder.store(_WORD(0), cgutils.gep_inbounds(builder, shared, 0, 0))  # no chunk has failed
    for i in range(len(operands)):
        builder.store(builder.extract_value(arguments, i), cgutils.gep_inbounds(builder, shared, 0, i + 1))
    _return_if_raised(builder)
    thunk_address = builder.ptrtoint(thunk, _WORD)
    with builder.if_then(is_kept):
        builder.ret(_boxed(builder, thunk_address))
    launch = cgutils.get_or_insert_function(module, _LAUNCH, LAUNCH)
    with _without_lock(builder):
        builder.call(launch, [thunk_address, builder.ptrtoint(shared, _WORD), chunks, team])
    builder.ret(_boxed(builder, builder.load(cgutils.gep_inbounds(builder, shared, 0, 0))))


def write_c_function(module: Any, name: str, call: Any, call_body: _CallBody) -> None:
    """Write the body, a function of integers that does not raise, as a C function for machine code."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [_WORD] * len(call.args)), name)
    builder = ir.IRBuilder(function.append_basic_block())
    call_body(builder, function.args)
    builder.ret_void()


def write_function(module: Any, name: str, call: Any, call_body: _CallBody) -> None:
    """Write the body, a function from integers to an integer that does not raise, as a C function that Python calls."""
    builder = _python_function(module, name)
    values = [_argument(builder, typ, i) for i, typ in enumerate(call.args)]
    _return_if_raised(builder)
    with _without_lock(builder):
        _, result = call_body(builder, values)
    builder.ret(_boxed(builder, result))


def _python_function(module: Any, name: str) -> Any:
    """Return a builder inside a new C function that Python calls."""
    return ir.IRBuilder(ir.Function(module, _FAST_CALL, name).append_basic_block())


def _argument(builder: Any, typ: Any, i: int) -> Any:
    """The value of an argument with which Python calls the function."""
    return _unboxed(builder, typ, builder.load(builder.gep(builder.function.args[1], [_WORD(i)])))


def _item(builder: Any, objects: Any, i: int) -> Any:
    """An item of a tuple."""
    return pointer_after(builder, objects, tuple.__basicsize__ + i * _WORD.width // 8, _POINTER)


def _unboxed(builder: Any, typ: Any, value: Any) -> Any:
    """The value of a Python object for a Numba type. Arrays and tuples are trusted, scalars converted."""
    context = cpu_target.target_context
    if isinstance(typ, Memory):  # `data` is the first field of an array, after the header of all objects
        return pointer_after(builder, value, object.__basicsize__, context.get_value_type(typ))
    if isinstance(typ, Memories):  # the address of the first of the pointers to the arrays
        return builder.gep(value, [_WORD(tuple.__basicsize__)])
    if isinstance(typ, types.BaseTuple):
        items = [_unboxed(builder, part, _item(builder, value, i)) for i, part in enumerate(typ)]
        return context.make_tuple(builder, typ, items)
    if isinstance(typ, types.Boolean):
        truth = _call(builder, ir.IntType(32), "PyObject_IsTrue", value)
        return builder.icmp_signed("!=", truth, truth.type(0))
    if isinstance(typ, types.Float):
        number = _call(builder, ir.DoubleType(), "PyFloat_AsDouble", value)
        return number if typ.bitwidth == 64 else builder.fptrunc(number, ir.FloatType())
    return _call(builder, _WORD, "PyLong_AsLongLong", value)


def _return_if_raised(builder: Any) -> None:
    """Return to Python if the conversion of an argument raised."""
    raised = _call(builder, _POINTER, "PyErr_Occurred")
    with builder.if_then(builder.icmp_unsigned("!=", raised, _POINTER(None)), likely=False):
        builder.ret(_POINTER(None))


def _boxed(builder: Any, word: Any) -> Any:
    return _call(builder, _POINTER, "PyLong_FromLongLong", word)


@contextmanager
def _without_lock(builder: Any) -> Iterator[None]:
    """Code written inside runs without the interpreter's lock."""
    state = _call(builder, _POINTER, "PyEval_SaveThread")
    yield
    _call(builder, ir.VoidType(), "PyEval_RestoreThread", state)


def _call(builder: Any, result: Any, name: str, *arguments: Any) -> Any:
    """Call a function of Python's C API."""
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments)
