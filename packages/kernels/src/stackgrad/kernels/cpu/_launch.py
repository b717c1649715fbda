"""Running the chunks of a kernel on all cores.

A kernel is a function of a chunk's number and of arguments that all chunks share; it writes its results into arrays
among them. Chunks run in any order, on any thread, so none may depend on another. How many there are depends on the
data alone, and with it each result, to the bit, whatever the number of threads.

Left to itself, Numba compiles the body of a parallel loop about four times over. Here one parallel loop, compiled
once, calls any kernel through a pointer:

    entry(chunks, serial, arguments)                 compiled for each kernel
        launch(thunk, &arguments, chunks, serial)    the one parallel loop
            thunk(chunk, &arguments)                 unpacks the arguments
                body(chunk, *arguments)              the kernel
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

_WORD = ir.IntType(64)
_THUNK = ir.FunctionType(ir.VoidType(), [_WORD, ir.IntType(8).as_pointer()])


@intrinsic
def _thunk(typingctx: Any, body: Any, arguments: Any) -> Any:
    """The addresses of a function that runs `body` on one chunk, and of `arguments` on the stack."""
    call = body.get_call_type(typingctx, (types.intp, *arguments.types), {})

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        compiled = body.dispatcher.overloads[call.args]
        context.active_code_library.add_linking_library(compiled.library)
        slot = cgutils.alloca_once_value(builder, args[1])
        thunk = ir.Function(builder.module, _THUNK, builder.module.get_unique_name("thunk"))
        thunk.linkage = "internal"
        inside = ir.IRBuilder(thunk.append_basic_block())
        packed = inside.load(inside.bitcast(thunk.args[1], slot.type))
        chunk_and_arguments = [thunk.args[0], *cgutils.unpack_tuple(inside, packed)]
        # Nothing a kernel does can fail: it allocates nothing, and its arithmetic has NumPy's error model.
        context.call_internal_no_propagate(inside, compiled.fndesc, call, chunk_and_arguments)
        inside.ret_void()
        pair = [builder.ptrtoint(thunk, _WORD), builder.ptrtoint(slot, _WORD)]
        return context.make_tuple(builder, signature.return_type, pair)

    return types.UniTuple(types.intp, 2)(body, arguments), codegen


@intrinsic
def _call(typingctx: Any, thunk: Any, chunk: Any, arguments: Any) -> Any:
    """Call the thunk at that address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.inttoptr(args[0], _THUNK.as_pointer())
        builder.call(function, [args[1], builder.inttoptr(args[2], _THUNK.args[1])])
        return context.get_dummy_value()

    return types.none(types.intp, types.intp, types.intp), codegen


@njit(parallel=True)  # type: ignore[untyped-decorator]
def _launch(thunk, arguments, chunks, serial):  # type: ignore[no-untyped-def]
    if serial:
        for chunk in range(chunks):
            _call(thunk, chunk, arguments)
    else:
        for chunk in prange(chunks):
            _call(thunk, chunk, arguments)


def entry(chunks, serial, arguments):  # type: ignore[no-untyped-def]
    """What is compiled for each kernel, its name `_body` bound to that kernel."""
    thunk, address = _thunk(_body, arguments)
    _launch(thunk, address, chunks, serial)


_body: Any = None
