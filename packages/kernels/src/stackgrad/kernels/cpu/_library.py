"""Machine code of kernels and of their helpers, by Numba's compiler without the parts that we do not need.

Numba makes a library of each function that another one calls, optimises it as a whole, and loads it. Here a helper's
code becomes part of the library of each kernel that calls it, and only this is optimised as a whole and loaded. The
kernels of a training step of lenet5 took 9.4 s to compile, and take 6.8; the machine code is as fast, and the bits of
results are the same. (Without the passes over single functions it would take 6.5 s, but some loops would be slower.)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from numba import extending
from numba.core import codegen, compiler
from numba.core.registry import cpu_target

from ._numba import OPTIONS


class ObjectCode(codegen.CPUCodeLibrary):
    """Code that one engine loads together with that of other processes: only the library's own name is not internal."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        for defined in (*self._final_module.functions, *self._final_module.global_variables):
            if not defined.is_declaration and defined.name != self.name:
                defined.linkage = "internal"
        self._finalized = True

    def emit(self) -> bytes:
        """Return the object code."""
        self.finalize()
        if self.has_dynamic_globals:
            raise ValueError(f"{self.name} refers to addresses of this process: others cannot load it from disk")
        return bytes(self._codegen._tm.emit_object(self._final_module))


class _Inlined(ObjectCode):
    """Code of a helper, to be linked into that of kernels."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


def inlined(fn: Callable[..., Any]) -> Any:
    """`fn` as a function that kernels call and that is inlined into them."""
    own = inspect.signature(fn)
    compiled: dict[tuple[Any, ...], Any] = {}  # by the types of the arguments

    def typed(typing: Any, *given: Any, **named: Any) -> Any:
        arguments = own.bind(*given, **named).args
        if arguments not in compiled:
            context = cpu_target.target_context
            library, options = _Inlined(context.codegen(), fn.__name__), flags(forceinline=True)
            compiled[arguments] = compiler.compile_internal(typing, context, library, fn, arguments, None, options, {})
        found = compiled[arguments]

        def call(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            context.active_code_library.add_linking_library(found.library)
            return context.call_internal(builder, found.fndesc, signature, args)

        return found.signature, call

    first = inspect.Parameter("typing", inspect.Parameter.POSITIONAL_ONLY)
    typed.__signature__ = own.replace(parameters=[first, *own.parameters.values()])  # type: ignore[attr-defined]
    return extending.intrinsic(typed)


def flags(**options: Any) -> Any:
    """The flags to compile with: without the functions by which Python calls what Numba compiles."""
    chosen = compiler.Flags()
    cpu_target.options.parse_as_flags(chosen, {"nopython": True, **OPTIONS, **options})
    chosen.no_compile = chosen.no_cpython_wrapper = chosen.no_cfunc_wrapper = True
    return chosen
