"""Helpers, whose code becomes part of the kernels that call them."""

import numpy as np
import pytest
from numba.core import types

from stackgrad.kernels.cpu import _launch, _library
from stackgrad.kernels.cpu._kernel import Kernel
from stackgrad.kernels.cpu._numba import helper
from stackgrad.kernels.cpu._pointers import Memory, load, store
from stackgrad.kernels.cpu._replay import ChunkError


@helper
def doubled(value):
    return value + value


@helper
def between(value, low, high):
    if high < low:
        raise ValueError
    return min(max(doubled(value), low), high)


def body(chunk, x, out, low, high):
    store(out, chunk, between(load(x, chunk), high=high, low=low) + between(chunk, 0, 4))


SIGNATURE = (Memory(types.float64), Memory(types.float64), types.float64, types.float64)


def test_a_helper_takes_arguments_of_any_types_by_position_or_name():
    kernel = Kernel(body, lambda T: SIGNATURE, key=None)
    x, out = np.arange(4.0) - 1, np.empty(4)
    kernel[x.dtype](4, 0, (x, out, -1.0, 3.0))
    assert out.tolist() == [-1 + 0, 0 + 2, 2 + 4, 3 + 4]


def test_an_exception_in_a_helper_ends_the_launch():
    kernel = Kernel(body, lambda T: SIGNATURE, key=None)
    x = np.zeros(2)
    with pytest.raises(ChunkError):
        kernel[x.dtype](2, 0, (x, x, 1.0, 0.0))


@pytest.fixture
def library(monkeypatch):
    """The library of a kernel called "only"."""
    made = []
    emit = _library.ObjectCode.emit
    monkeypatch.setattr(_library.ObjectCode, "emit", lambda library: made.append(library) or emit(library))
    assert _launch.object_code(body, types.none(types.intp, *SIGNATURE), _launch.write_entry, "only")
    return made[0]


def test_names_in_object_code_are_its_own(library):
    """Code of several processes, in which helpers may have equal names, is loaded side by side."""
    defined = (*library._final_module.functions, *library._final_module.global_variables)
    assert [x.name for x in defined if not x.is_declaration and x.linkage.name != "internal"] == ["only"]


def test_helpers_are_inlined(library):
    assert {x.name for x in library._final_module.functions if not x.is_declaration} == {"only", "only.thunk"}
