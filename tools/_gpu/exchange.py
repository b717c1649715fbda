"""Memory shared with PyTorch and CuPy, without a copy and in both directions."""

from __future__ import annotations

from argparse import Namespace
from importlib import import_module
from typing import Any

import numpy as np

from stackgrad import tensor as sg
from stackgrad.kernels.cuda._driver import SIMULATED, device
from tools._gpu.report import Results
from tools._gpu.surroundings import is_installed

SIZE = 100 if SIMULATED else 100_000


class _NumPy:
    """Host arrays, which the simulator uses."""

    def ones(self) -> Any:
        return np.ones(SIZE, np.float32)

    def read(self, array: Any) -> list[float]:
        """The first and the last value."""
        return [float(array[0]), float(array[-1])]

    def from_dlpack(self, lent: Any) -> Any:
        return np.from_dlpack(lent)

    def from_interface(self, lent: Any) -> Any:
        return np.from_dlpack(lent)


class _Torch(_NumPy):
    def __init__(self) -> None:
        self.torch: Any = import_module("torch")

    def ones(self) -> Any:
        return self.torch.ones(SIZE, device="cuda")

    def from_dlpack(self, lent: Any) -> Any:
        return self.torch.from_dlpack(lent)

    def from_interface(self, lent: Any) -> Any:
        return self.torch.as_tensor(lent, device="cuda")


class _CuPy(_NumPy):
    def __init__(self) -> None:
        self.cupy: Any = import_module("cupy")

    def ones(self) -> Any:
        return self.cupy.ones(SIZE, np.float32)

    def from_dlpack(self, lent: Any) -> Any:
        return self.cupy.from_dlpack(lent)

    def from_interface(self, lent: Any) -> Any:
        return self.cupy.asarray(lent)


def share(library: _NumPy) -> None:
    """Lend and borrow, write on one side and read on the other. Raises AssertionError if the values differ."""
    for borrow in (library.from_dlpack, library.from_interface):
        lent = sg.ones(SIZE, backend="cuda")
        theirs = borrow(lent)
        lent.mul_(2)
        device().synchronize()  # the library's stream does not wait for ours
        _expect(library.read(theirs), [2, 2], f"{borrow.__name__}: our write to the lent array")
        del lent
        others = [sg.zeros(SIZE, backend="cuda") for _ in range(3)]
        device().synchronize()
        _expect(library.read(theirs), [2, 2], f"{borrow.__name__}: the array that is still lent")
        del theirs, others
    array = library.ones()
    ours = sg.from_dlpack(array, backend="cuda")
    array *= 3
    library.read(array)
    _expect([ours[0].item(), ours[-1].item()], [3, 3], "from_dlpack: their write to the borrowed array")
    ours.mul_(2)
    device().synchronize()
    _expect(library.read(array), [6, 6], "from_dlpack: our write to the borrowed array")
    strided = sg.from_dlpack(library.ones()[::2], backend="cuda")
    _expect([strided.sum().item()], [SIZE // 2], "from_dlpack of every other element")


def _expect(found: list[float], wanted: list[float], what: str) -> None:
    if found != wanted:
        raise AssertionError(f"{what}: read {found}, expected {wanted}")


def run_exchange(report: Results, arguments: Namespace) -> None:
    """Share memory with each library that is installed, in a dry run with NumPy."""
    for name, module, library in (("PyTorch", "torch", _Torch), ("CuPy", "cupy", _CuPy)):
        what = f"memory shared with {name}"
        if arguments.dry_run:
            share(_NumPy())
            report.check(what, None, "there is no GPU in a dry run")
        elif not is_installed(module):
            report.check(what, None, "not installed")
        else:
            try:
                share(library())
            except Exception as error:
                report.failure(what, error)
            else:
                report.check(what, True, "lent, borrowed, read and written on both sides")
