"""Kernels: how they are written, compiled, launched, and recorded on the tape of a captured function.

A kernel is a function of pointers, integers, scalars of the element type, and tuples of these; NamedTuples, such as a
`Walk` of strides, give the elements names. It writes to memory through the pointers. Its globals are those of its file,
and `T`, the element type for which it is compiled:

    @kernel(lambda T: (pointer(T), pointer(T), int64), threads=BLOCK)
    def _double(x, out, n):
        i = cuda.grid(1)
        while i < n:                    # works for any grid
            out[i] = x[i] * T(2)        # a bare 2.0 would be float64
            i += cuda.gridsize(1)

    _double[x.dtype](cover(x.size), x, out, x.size)

A launch passes 8 bytes for a pointer, at a tenth of the cost of Numba's own arrays. Those include shapes and strides,
which are separate arguments here if a kernel needs them. A launch trusts its caller for dtypes and extents.

A kernel is compiled on its first use with a dtype. All kernels are in `REGISTRY`; a test compiles each one without a
GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, TypeVar

import numpy as np

from stackgrad.tensor import capturing
from stackgrad.tensor._types import DType

from ._array import DeviceArray
from ._driver import SIMULATED, device, types
from ._replay import Row

Signature = Callable[[Any], tuple[Any, ...]]
Grid = int | tuple[int, ...]
Launch = Callable[..., None]

T: Any = None  # placeholder: in a kernel, the element type
int64, boolean = types.int64, types.uint8
REGISTRY: list[Kernel] = []

Value = TypeVar("Value")


def either(on_gpu: Value, simulated: Value) -> Value:
    """A constant that is smaller in the simulator, where each thread costs a tenth of a millisecond."""
    return simulated if SIMULATED else on_gpu


BLOCK = either(256, simulated=4)  # threads of a block, for kernels that have no reason for another number


def pointer(dtype: Any) -> Any:
    """The Numba type of a pointer to elements of `dtype`."""
    return types.CPointer(dtype)


def integers(count: int) -> Any:
    """The Numba type of a tuple of `count` integers."""
    return types.UniTuple(types.int64, count)


def named(form: type[tuple[Any, ...]], *fields: Any) -> Any:
    """The Numba type of a NamedTuple. Its fields have these types, all have the one type given, or all are integers."""
    if len(fields) > 1:
        return types.NamedTuple(fields, form)
    return types.NamedUniTuple(fields[0] if fields else int64, len(form._fields), form)  # type: ignore[attr-defined]


def cover(count: int) -> int:
    """How many blocks of BLOCK threads to launch for `count` elements, which they walk over in strides of the grid."""
    return max(1, min(-(-count // BLOCK), device().blocks))


class Kernel:
    """A kernel for the element types in `dtypes`: f(loat32 and float64), s(ingle: float32 alone), i(nt64) and b(ool).

    `signature` maps an element type to the Numba types of the arguments, `threads` are those of a block, and `bind`
    maps a dtype to further globals. `kernel[dtype](grid, *arguments)` launches it; the grid is the number of blocks, or
    a tuple for x, y and z; `keep` are further objects that replays need. A kernel made from a user's function is not
    `registered`: no test can know it, and it is not cached on disk, because it may depend on anything.

    In a kernel, bools are bytes of 0 and 1, and `T` is uint8; to write one, it must convert the value by bool(...).
    """

    def __init__(
        self,
        body: Callable[..., None],
        signature: Signature,
        threads: Grid,
        dtypes: str = "f",
        name: str = "",
        registered: bool = True,
        bind: Callable[[DType], dict[str, Any]] = lambda dtype: {},
    ) -> None:
        self.name = name or body.__name__.strip("_")
        self.body, self.bind = body, bind
        self._signature, self._registered = signature, registered
        self.block = threads if isinstance(threads, tuple) else (threads,)
        self.dtypes = [dtype for letter in dtypes for dtype in _DTYPES[letter]]
        self._launches: dict[DType, Launch] = {}
        if registered:
            REGISTRY.append(self)

    def source(self, dtype: DType) -> Callable[..., None]:
        """The body with its globals for `dtype`."""
        globals_ = {**self.body.__globals__, "T": stored(dtype).type, **self.bind(dtype)}
        bound = FunctionType(self.body.__code__, globals_, self.name, self.body.__defaults__)
        bound.__module__, bound.__qualname__ = self.body.__module__, self.name
        return bound

    def signature(self, dtype: DType) -> tuple[Any, ...]:
        """The Numba types of its arguments for `dtype`."""
        return self._signature(_NUMBA[stored(dtype)])

    @property
    def threads(self) -> int:
        """The number of threads of a block."""
        return int(np.prod(self.block))

    def __getitem__(self, dtype: DType) -> Launch:
        launch = self._launches.get(dtype)
        if launch is None:
            loaded = device().load(self.source(dtype), self.signature(dtype), self.threads, self._registered)
            launch = self._launches[dtype] = self._launcher(loaded)
        return launch

    def _launcher(self, loaded: Any) -> Launch:
        run, block = device().launch, _three(self.block)

        def launch(grid: Grid, *arguments: Any, keep: Any = None) -> None:
            blocks = (grid, 1, 1) if isinstance(grid, int) else _three(grid)
            passed = [_passed(x) for x in arguments]
            run(loaded, blocks, block, passed)
            if capturing.tape is not None:
                capturing.tape.launched(Row, (loaded, blocks, block, passed), arguments, keep)

        return launch

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"


def _passed(x: Any) -> Any:
    """An argument with arrays replaced by pointers."""
    if isinstance(x, DeviceArray):
        return x.pointer
    return type(x)(*map(_passed, x)) if isinstance(x, tuple) and type(x) is not tuple else x


def _three(extents: tuple[int, ...]) -> tuple[int, int, int]:
    x, y, z = (*extents, 1, 1)[:3]
    return x, y, z


_DTYPES: dict[str, Sequence[DType]] = {
    "f": (np.dtype("float32"), np.dtype("float64")),
    "s": (np.dtype("float32"),),
    "i": (np.dtype("int64"),),
    "b": (np.dtype("bool"),),
}
_NUMBA = {
    np.dtype("float32"): types.float32,
    np.dtype("float64"): types.float64,
    np.dtype("int64"): types.int64,
    np.dtype("uint8"): boolean,
}


def stored(dtype: DType) -> DType:
    """The dtype with which kernels read and write elements of `dtype`."""
    return np.dtype("uint8") if dtype == np.dtype("bool") else dtype


def kernel(signature: Signature, threads: Grid = BLOCK, dtypes: str = "f") -> Callable[[Callable[..., None]], Kernel]:
    """Make a function a kernel; see `Kernel`."""
    return lambda body: Kernel(body, signature, threads, dtypes)
