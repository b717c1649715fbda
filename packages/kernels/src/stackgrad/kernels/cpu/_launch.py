"""Running the chunks of a kernel on all cores.

A kernel is a function of a chunk's number and of arguments that all chunks share; it writes its results into arrays
among them. Chunks run in any order, on any thread, so none may depend on another. How many there are depends on the
data alone, and with it each result, to the bit, whatever the number of threads.

Left to itself, Numba compiles the body of a parallel loop about four times over, and the loop's own machinery again
for each function that calls it. Here one loop, compiled once and found by its name, calls any kernel through a
pointer:

    entry(chunks, team, arguments, 0)              compiled for each kernel
        LAUNCH(thunk, &shared, chunks, team)       the one loop, on the threads of the team (see _team)
            thunk(chunk, &shared)                  unpacks the arguments
                body(chunk, *arguments)            the kernel

With memory of one's own in place of the 0, the entry puts the shared arguments there and gives back the thunk's
address: what `replay` needs to launch them again.
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
_LAUNCH = ir.FunctionType(_POINTER, [_WORD] * 4)  # Numba's C function for what returns nothing


@intrinsic
def _run_chunks(typingctx: Any, body: Any, arguments: Any, chunks: Any, team: Any, memory: Any) -> Any:
    """Run `body` on all chunks; 1 if it raised an exception for one of them, else 0. Given memory, see above."""
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
    """The arguments without the owners of the arrays among them, who are counted by the caller alone."""
    for i, kind in enumerate(arguments.types):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, builder.extract_value(values, i))
            array.meminfo, array.parent = (cgutils.get_null_value(x.type) for x in (array.meminfo, array.parent))
            values = builder.insert_value(values, array._getvalue(), i)
    return values


def _compile_here(context: Any, function: Any, call: Any) -> Any:
    """Compile `function` into the code that is being made, to be optimised with it, rather than apart and once more."""
    flags = targetconfig.ConfigStack().top().copy()
    flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    library = context.active_code_library
    where = (context.typing_context, context, library)
    compiled = compiler.compile_internal(*where, function, call.args, call.return_type, flags, {})
    # Once inlined it is not needed by itself.
    library._final_module.get_function(compiled.fndesc.llvm_func_name).linkage = "linkonce_odr"
    return compiled


def entry(chunks, team, arguments, memory):
    """What is compiled for each kernel, its name `_body` bound to that kernel."""
    return _run_chunks(_body, arguments, chunks, team, memory)


_body: Any = None
