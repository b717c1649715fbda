"""These tests need a GPU or, with NUMBA_ENABLE_CUDASIM=1, Numba's simulator of one: `nox -s tests-cuda-simulator`.

Kernels are compiled without either: `nox -s tests-cuda-compile`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from stackgrad.kernels.cuda import is_available

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")

# The sessions named above collect the files ignored here.
ON_A_DEVICE = (
    *(
        "array",
        "backend",
        "capture",
        "cumsum",
        "custom",
        "elementwise",
        "exchange",
        "fused",
        "gpu_check",
        "host_buffer",
    ),
    *("indexing", "kernel", "matmul", "memory", "norm", "optim", "pool", "random", "reduce", "softmax", "sort"),
)
collect_ignore = [] if is_available() else ["conv", *[f"test_{name}.py" for name in ON_A_DEVICE]]
if SIMULATED or find_spec("numba_cuda") is None:
    collect_ignore += ["test_compile.py", "test_disk_cache.py", "test_driver.py"]


@pytest.fixture(autouse=True, scope="session")
def _checked_launches() -> Iterator[None]:
    """A GPU takes any bytes that it is passed: check here that kernels get the types that they are compiled for."""
    if not is_available():
        yield
        return
    from stackgrad.kernels.cuda import _kernel

    enter = _kernel.Kernel.__getitem__

    def getitem(kernel: _kernel.Kernel, dtype: np.dtype[Any]) -> Callable[..., None]:
        launch, expected = enter(kernel, dtype), kernel.signature(dtype)

        def checked(grid: Any, *arguments: Any, **options: Any) -> None:
            expect(expected, arguments)
            launch(grid, *arguments, **options)

        return checked

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_kernel.Kernel, "__getitem__", getitem)
        yield


def expect(signature: Sequence[Any], arguments: Sequence[Any]) -> None:
    """Raise AssertionError unless these are arguments of the Numba types in `signature`."""
    from numba.cuda import types

    from stackgrad.kernels.cuda._array import DeviceArray
    from stackgrad.kernels.cuda._kernel import stored

    for wanted, given in zip(signature, arguments, strict=True):
        if isinstance(wanted, types.BaseTuple):
            assert type(given) is getattr(wanted, "instance_class", tuple)
            expect(list(wanted), given)
        elif isinstance(wanted, types.CPointer):
            assert not isinstance(given, DeviceArray) or stored(given.dtype) == np.dtype(str(wanted.dtype))
        elif isinstance(given, int):  # it is passed as eight bytes, a bool as one
            assert type(given) is int
            assert str(wanted) == "int64"
        else:
            assert given.dtype == np.dtype(str(wanted))
