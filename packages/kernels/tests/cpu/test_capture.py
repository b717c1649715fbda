"""Each operation of the cpu backend, recorded with other values and replayed, must give the result of a direct call."""

import inspect

import numpy as np
import pytest

from stackgrad.kernels.cpu import CpuBackend
from stackgrad.tensor import Backend, Tape, capturing
from stackgrad.tensor._tape import captured_on
from stackgrad.tensor.testing import CASES

# Views and queries do no work, and nothing writes to a constant. The number of indices of a mask is not fixed, so they
# cannot be captured.
AT_ONCE = {"from_numpy", "to_numpy", "empty", "owns_memory", "is_contiguous", "shares_memory", "nonzero"}
AT_ONCE |= {"permute", "expand", "slice", "constant", "is_writable", "empty_like"}


def arrays(values):
    if isinstance(values, (tuple, list)):
        return [x for value in values for x in arrays(value)]
    return [values] if isinstance(values, np.ndarray) and values.dtype.kind in "fiub" else []


def memory(array):
    """The array that owns the memory of `array`, as far as NumPy knows it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def replayed(name):
    def run(self, *args):
        method = getattr(CpuBackend, name)
        call = (self, *args) if inspect.isfunction(inspect.getattr_static(CpuBackend, name)) else args
        if capturing.tape is not None:  # a part of an operation that is composed of others
            return method(*call)
        given = [memory(x) for x in arrays(args)]
        values = [x.copy() for x in given]
        with captured_on(tape := Tape()):
            for x in given:
                if x.flags.writeable:
                    x.fill(0)
            results = method(*call)
        for x, value in zip(given, values, strict=True):
            if x.flags.writeable:
                x[...] = value
        for x in arrays(results):
            if not any(np.may_share_memory(x, y) for y in given):
                x.fill(77)
        for work in tape:
            work()
        return results

    return run


Replaying = type(
    "Replaying",
    (CpuBackend,),
    {
        name: replayed(name)
        for name, member in vars(Backend).items()
        if inspect.isfunction(member) and not name.startswith("_") and name not in AT_ONCE
    },
)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind != "second"], ids=str)
def test_replay(case):
    case.run(Replaying(), max_examples=5)
