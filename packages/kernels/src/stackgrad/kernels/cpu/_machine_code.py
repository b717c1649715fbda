"""Machine code in memory: loading object code, with llvmlite alone, and calling C functions from Python."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import llvmlite.binding

FAST_CALL = 0x80  # METH_FASTCALL: a C function of (self, pointers to the arguments, their number)


class _Method(ctypes.Structure):
    """PyMethodDef, Python's description of a C function."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_methods: list[_Method] = []  # functions refer to them but do not own them

_new_function = ctypes.pythonapi.PyCFunction_NewEx
_new_function.argtypes = (ctypes.POINTER(_Method), ctypes.c_void_p, ctypes.c_void_p)
_new_function.restype = ctypes.py_object


def load(code: bytes, name: str) -> int:
    """Load object code and return the address of the function of that name. It stays loaded."""
    engine = _engine()
    engine.add_object_file(llvmlite.binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return int(engine.get_function_address(name))


def function_at(address: int, name: str) -> Callable[..., Any]:
    """The C function at that address, which follows FAST_CALL, as a function of Python."""
    _methods.append(_Method(name.encode(), address, FAST_CALL, None))
    function: Callable[..., Any] = _new_function(_methods[-1], None, None)
    return function


@cache
def _engine() -> Any:
    """The engine for all object code: creating one takes six times as long as loading a kernel."""
    llvmlite.binding.initialize_native_target()
    llvmlite.binding.initialize_native_asmprinter()
    machine = llvmlite.binding.Target.from_default_triple().create_target_machine()
    return llvmlite.binding.create_mcjit_compiler(llvmlite.binding.parse_assembly(""), machine)
