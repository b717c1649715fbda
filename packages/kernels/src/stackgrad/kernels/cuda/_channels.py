"""How blocks of threads share the channels of images.

Memory is viewed as (a, c, b), where c are the channels: images of planes (n, c, s), or channels-last pixels
(n * s, c, 1). The a * b elements of a channel are cut into pieces of equal length. A block has one piece, of one
channel if planes are long, else of ACROSS adjacent channels. Either way adjacent threads read adjacent elements:

    channel    |---------piece 0---------|---------piece 1---------|---  its planes one after the other
    piece      |l0 l1 ... l255|l0 l1 ... l255| ... |l0 ...|              EACH x LANES at a time: lane t takes elements
                                                                         t, t + LANES, t + 2 LANES, ...

How channels are cut depends on the shape alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._array import DeviceArray, permute
from ._copy import contiguous
from ._driver import cuda, inlined
from ._kernel import Kernel, Signature, either, named
from ._strides import divide

PLANES = 1, either(256, simulated=4)  # the channels of a block, and the threads of each channel
PIXELS = either((16, 16), simulated=(2, 2))
SHORT = either(16, simulated=2)  # shorter planes are treated as pixels
EACH = either(8, simulated=2)  # elements that a thread reads at a time
ENOUGH = either(512, simulated=4)  # blocks that keep a GPU busy; with more elements, pieces are longer


class Cut(NamedTuple):
    """Memory (a, c, b) in which each channel has `count` elements, a * b, cut into pieces of equal length."""

    c: Any
    b: Any
    count: Any
    pieces: Any
    length: Any


@inlined
def piece_of_thread(thread, across, cut):
    """The channel and the piece of a thread, its first index, and their end, which is 0 beyond the last channel."""
    group = divide(cuda.blockIdx.x, cut.pieces)
    piece = cuda.blockIdx.x - group * cut.pieces
    channel = group * across + thread % across
    first = piece * cut.length + thread // across
    return channel, piece, first, min(cut.count, (piece + 1) * cut.length) if channel < cut.c else 0


@inlined
def begin(first, channel, lanes, cut):
    """The offsets in its plane and in memory at which a thread begins, and the strides to its next elements."""
    image, images = divide(first, cut.b), divide(lanes, cut.b)
    at, at_by = first - image * cut.b, lanes - images * cut.b
    return at, (image * cut.c + channel) * cut.b + at, at_by, images * cut.c * cut.b + at_by


@inlined
def advance(at, source, at_by, source_by, cut):
    """The two offsets of the next element."""
    at += at_by
    over = cut.b if at >= cut.b else 0
    return at - over, source + source_by + (cut.c - 1) * over


def cut_of(x: DeviceArray, channels_last: bool) -> tuple[tuple[int, int], Cut]:
    """PLANES or PIXELS for images (n, c, s), and how they are cut."""
    n, c, s = x.shape
    b = 1 if channels_last else s
    across, lanes = form = PIXELS if b < SHORT else PLANES
    count, at_once = n * s, lanes * EACH
    most = max(ENOUGH // -(-c // across), 1)
    length = -(-count // (most * at_once)) * at_once
    return form, Cut(c, b, count, -(-count // length), length)


class ChannelKernels:
    """A kernel for PLANES and one for PIXELS; their operands are of the types from `signature`, and a Cut."""

    def __init__(self, body: Any, signature: Signature) -> None:
        def made(form: str, across: int, lanes: int) -> Kernel:
            constants = {"ACROSS": across, "LANES": lanes, "THREADS": across * lanes}
            name = f"{body.__name__.strip('_')}_of_{form}"
            whole = lambda T: (*signature(T), named(Cut))  # noqa: E731
            return Kernel(body, whole, across * lanes, name=name, bind=lambda dtype: constants)

        self._by_form = {PLANES: made("planes", *PLANES), PIXELS: made("pixels", *PIXELS)}

    def launch(self, form: tuple[int, int], cut: Cut, dtype: np.dtype[Any], *operands: Any) -> None:
        self._by_form[form][dtype](-(-cut.c // form[0]) * cut.pieces, *operands, cut)


def is_channels_last(x: DeviceArray) -> bool:
    """Whether x (n, c, s) has the memory order (n, s, c)."""
    return not x.is_contiguous and permute(x, (0, 2, 1)).is_contiguous


def arranged(x: DeviceArray, channels_last: bool) -> DeviceArray:
    """x (n, c, s) in that memory order or in C order, copied if necessary."""
    return permute(contiguous(permute(x, (0, 2, 1))), (0, 2, 1)) if channels_last else contiguous(x)
