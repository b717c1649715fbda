"""Find out what a benchmark executes: Python functions, and the functions compiled into the kernels that it runs.

Each benchmark runs in its own fork, where no kernel is loaded and no plan exists yet.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType, FunctionType
from typing import Any

import llvmlite.binding
import numba

from stackgrad.kernels.cpu import _kernel
from stackgrad.tensor import OPS, REDUCTIONS

from ._execution import Location, Touched


class _Record:
    """Records what runs in this process from now on."""

    def __init__(self, folder: str) -> None:
        self._folder = folder + os.sep
        self._rows = {*OPS, *REDUCTIONS}
        self.called: set[Location] = set()
        self.compiled: set[Location] = set()
        self.modules: set[str] = set()
        self.rows: set[str] = set()
        self.kernels: dict[str, str] = {}
        self._code: bytes | None = None
        self._seen: set[int] = set()

    def profile(self, frame: FrameType, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(self._folder) and code.co_name != "<module>":
            self.called.add(self._location(code))
            self.rows.update(self._named(code.co_consts))
            self.rows.update(self._named(frame.f_locals.values()))

    def _location(self, code: CodeType) -> Location:
        return code.co_filename.removeprefix(self._folder), code.co_firstlineno

    def _named(self, values: Any) -> Iterator[str]:
        """The rows that are among the values, or in tuples among them."""
        for value in values:
            for item in value if isinstance(value, tuple) else (value,):
                name = getattr(item, "name", item)
                if isinstance(name, str) and name in self._rows:
                    yield name

    def made(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `_found` or `address_of` to record what is compiled or loaded from disk, and from which functions."""

        def made(function: Any, key: Any, *others: Any) -> Any:
            self._code = None
            sys.setprofile(None)  # the compiler would not run if the kernel were on disk
            try:
                return original(function, key, *others)
            finally:
                sys.setprofile(self.profile)
                self._take(function)
                self.kernels[f"{function.__module__}.{function.__qualname__} {key}"] = _digest(self._code)

        return made

    def loaded(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap `load` to keep the object code."""

        def loaded(code: bytes, name: str) -> Any:
            self._code = code
            return original(code, name)

        return loaded

    def _take(self, function: Any) -> None:
        """Record a function of a kernel, and the functions that it uses."""
        made = getattr(function, "made", function)  # see kernels/cpu/_numba.py
        is_replaced = made is not function and isinstance(made, FunctionType)
        function = getattr(made, "py_func", None) or getattr(made, "_defn", None) or made
        if not isinstance(function, FunctionType) or id(function) in self._seen:
            return
        self._seen.add(id(function))
        if function.__code__.co_filename.startswith(self._folder):
            self.compiled.add(self._location(function.__code__))
            if is_replaced:
                self.modules.add(self._location(function.__code__)[0])
        for value in _read(function):
            self._take(value)

    def touched(self) -> Touched:
        called, compiled = frozenset(self.called), frozenset(self.compiled)
        return Touched(called, compiled, frozenset(self.modules), frozenset(self.rows), self.kernels)


def _read(function: FunctionType) -> Iterator[Any]:
    codes = [function.__code__]
    while codes:
        code = codes.pop()
        codes += [value for value in code.co_consts if isinstance(value, CodeType)]
        yield from (function.__globals__[name] for name in code.co_names if name in function.__globals__)
    yield from (cell.cell_contents for cell in function.__closure__ or ())


def _digest(code: bytes | None) -> str:
    """A digest of the instructions and constants of an object file. They are the same in every process, unlike names.

    A kernel that is not stored is "unknown", since it cannot be compared.
    """
    if code is None:
        return "unknown"
    sections = llvmlite.binding.ObjectFileRef.from_data(code).sections()
    named = [(bytes(section.name() or b"").decode(), section.data()) for section in sections]
    parts = [(name, data) for name, data in named if name.startswith((".text", ".ltext", ".rodata.cst"))]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def touch(work: Callable[[], object], folder: str) -> Touched:
    """Run `work` in a fork. Returns what it executes from the packages in `folder`. Raises RuntimeError if it fails."""
    _warm()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            answer: Touched | str = _touch(work, folder)
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    found: Touched | str = pickle.loads(content) if content else "its process was killed"
    if isinstance(found, str):
        raise RuntimeError(found)
    return found


def _touch(work: Callable[[], object], folder: str) -> Touched:
    record = _Record(folder)
    if hasattr(_kernel, "_found"):  # earlier commits have no such function: their kernels are not recorded
        from stackgrad.kernels.cpu import _launch, _machine_code

        _kernel._found = record.made(_kernel._found)
        _launch.address_of = record.made(_launch.address_of)
        _machine_code.load = record.loaded(_machine_code.load)
    sys.setprofile(record.profile)
    try:
        work()
        work()
    finally:
        sys.setprofile(None)
    return record.touched()


_warmed: list[Any] = []


def _warm() -> None:
    """Make Numba load what each fork would otherwise load itself."""
    if not _warmed:
        function = numba.njit(lambda x: x)
        function.compile((numba.types.intp,))
        _warmed.append(function)
