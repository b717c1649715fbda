"""How kernels are made, found and launched."""

from typing import Any, NamedTuple

import numpy as np
import pytest

import stackgrad.kernels.cuda._backend  # noqa: F401 - registers all kernels
from stackgrad.kernels.cuda._array import empty, from_numpy, to_numpy
from stackgrad.kernels.cuda._driver import SIMULATED, cuda, device
from stackgrad.kernels.cuda._kernel import BLOCK, REGISTRY, Kernel, T, cover, int64, named, pointer

F32 = np.dtype("float32")


def _iota(out, n):
    i = cuda.grid(1)
    while i < n:
        out[i] = T(i)
        i += cuda.gridsize(1)


IOTA = Kernel(_iota, lambda T: (pointer(T), int64), BLOCK, registered=False)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_any_grid_works(blocks):
    out = empty((37,), F32)
    IOTA[F32](blocks, out, out.size)
    assert to_numpy(out).tolist() == list(range(37))


def test_blocks_cover_the_elements():
    assert cover(0) == 1
    assert cover(BLOCK) == 1
    assert cover(BLOCK + 1) == min(2, device().blocks)
    assert cover(10**12) == device().blocks


def test_the_names_of_kernels_are_unique():
    names = [kernel.name for kernel in REGISTRY]
    assert len(set(names)) == len(names)
    assert "add_flat" in names


class Line(NamedTuple):
    """Equally spaced values from `start` on, and where to write them."""

    out: Any
    start: Any
    steps: Any


class Steps(NamedTuple):
    inside: Any
    between: Any


def _draw(line, n):
    i = cuda.grid(1)
    while i < n:
        line.out[i * line.steps.between] = line.start + T(i) * T(line.steps.inside)
        i += cuda.gridsize(1)


LINE = Kernel(_draw, lambda T: (named(Line, pointer(T), T, named(Steps)), int64), BLOCK, "i", "line", registered=False)


def test_operands_have_names():
    out, dtype = from_numpy(np.zeros(6, np.int64)), np.dtype("int64")
    LINE[dtype](1, Line(out, dtype.type(5), Steps(10, 2)), 3)
    assert to_numpy(out).tolist() == [5, 0, 15, 0, 25, 0]


@pytest.mark.skipif(not SIMULATED, reason="a GPU does not notice; compute-sanitizer does")
def test_an_index_out_of_bounds_raises():
    out = empty((3,), F32)
    with pytest.raises(IndexError, match=r"a kernel at element \d+ of memory for 128"):
        IOTA[F32](1, out, 512)
