"""Running the chunks of a kernel on all cores.

A kernel is a function of a chunk index and of arguments that all chunks share; it writes its results into arrays among
them. Chunks run in any order, on any thread, so none may depend on another. The number of chunks depends on the data
alone, so results are bitwise equal for any number of threads.

Numba's own parallel loops compile the body about four times, and the machinery of the loop again in each function that
calls it. Here a single loop, compiled once and found by name, calls any kernel through a pointer:

    entry(chunks, team, arguments, 0)              compiled for each kernel
        LAUNCH(thunk, &shared, chunks, team)       the one loop, on the threads of the team (see _team)
            thunk(chunk, &shared)                  unpacks the arguments
                body(chunk, *arguments)            the kernel

Given an address in place of the 0, the entry stores the shared arguments there and returns the thunk's address, which
is what `replay` needs to launch the kernel again.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, compiler, targetconfig
from numba.extending import intrinsic

from ._team import THUNK_TYPE

LAUNCH = "stackgrad_launch"  # the name by which the machine code of kernels calls `launch`

_WORD = ir.IntType(64)
_POINTER = ir.IntType(8).as_pointer()
_LAUNCH = ir.FunctionType(_POINTER, [_WORD] * 4)  # as Numba declares a C function that returns nothing


@intrinsic
def _run_chunks(typingctx: Any, body: Any, arguments: Any, chunks: Any, team: Any, memory: Any) -> Any:
    """Run `body` on all chunks and return 1 if it raised for one of them, else 0. If `memory` is not 0, see above."""
    call = types.none(types.intp, *arguments.types)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        compiled = _compile_here(context, body.dispatcher.py_func, call)
        packed = _without_owners(context, builder, arguments, args[1])
        here = cgutils.alloca_once(builder, ir.LiteralStructType([_WORD, packed.type]))
        kept = builder.icmp_unsigned("!=", args[4], _WORD(0))
        shared = builder.select(kept, builder.inttoptr(args[4], here.type), here)
        builder.store(_WORD(0), cgutils.gep_inbounds(builder, shared, 0, 0))  # no chunk has failed
        builder.store(packed, cgutils.gep_inbounds(builder, shared, 0, 1))

        thunk = ir.Function(builder.module, THUNK_TYPE, builder.module.get_unique_name("thunk"))
        thunk.linkage = "internal"
        inside = ir.IRBuilder(thunk.append_basic_block())
        struct = inside.bitcast(thunk.args[1], shared.type)
        unpacked = cgutils.unpack_tuple(inside, inside.load(cgutils.gep_inbounds(inside, struct, 0, 1)))
        chunk_and_arguments = [thunk.args[0], *unpacked]
        status, _ = context.call_internal_no_propagate(inside, compiled.fndesc, call, chunk_and_arguments)
        with inside.if_then(status.is_error, likely=False):
            inside.store(_WORD(1), cgutils.gep_inbounds(inside, struct, 0, 0))
        inside.ret_void()

        launch = cgutils.get_or_insert_function(builder.module, _LAUNCH, LAUNCH)
        address = builder.ptrtoint(thunk, _WORD)
        with builder.if_then(builder.not_(kept)):
            builder.call(launch, [address, builder.ptrtoint(shared, _WORD), args[2], args[3]])
        return builder.select(kept, address, builder.load(cgutils.gep_inbounds(builder, shared, 0, 0)))

    return types.intp(body, arguments, types.intp, types.intp, types.intp), codegen


def _without_owners(context: Any, builder: Any, arguments: Any, values: Any) -> Any:
    """The arguments with the owners of their arrays set to null: only the caller counts references to those."""
    for i, typ in enumerate(arguments.types):
        if isinstance(typ, types.Array):
            array = context.make_array(typ)(context, builder, builder.extract_value(values, i))
            array.meminfo, array.parent = (cgutils.get_null_value(x.type) for x in (array.meminfo, array.parent))
            values = builder.insert_value(values, array._getvalue(), i)
    return values


def _compile_here(context: Any, function: Any, call: Any) -> Any:
    """Compile `function` into the library under construction: LLVM then optimises it once, together with its caller."""
    flags = targetconfig.ConfigStack().top().copy()
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    library = context.active_code_library
    where = (context.typing_context, context, library)
    compiled = compiler.compile_internal(*where, function, call.args, call.return_type, flags, {})
    # LLVM drops the function itself once it is inlined.
    library._final_module.get_function(compiled.fndesc.llvm_func_name).linkage = "linkonce_odr"
    return compiled


def entry(chunks, team, arguments, memory):
    """The function compiled for each kernel, with the global `_body` bound to that kernel's body."""
    return _run_chunks(_body, arguments, chunks, team, memory)


_body: Any = None
