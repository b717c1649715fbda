"""Random numbers that depend only on a seed, the index of the draw and the index of the element.

Philox 4x32-10 of J. Salmon, M. Moraes, R. Dror and D. Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(SC 2011, https://doi.org/10.1145/2063384.2063405): a bijection of a 128-bit counter under a 64-bit key. The key
is the seed; the counter is (block, draw). A block yields four 32-bit words, and the words of a draw are assigned to the
elements in C order, so every backend, memory layout and number of threads gets the same ones.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._tape import each_time
from ._types import Shape

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
_MASK = 0xFFFFFFFF


def philox(counter: NDArray[np.uint32], key: tuple[int, int]) -> NDArray[np.uint32]:
    """Philox 4x32-10 of each row of `counter` (n, 4) under two 32-bit key words: (n, 4) random words."""
    c0, c1, c2, c3 = counter.T.astype(np.uint64)
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1 = (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0), p1 & np.uint64(_MASK)
        c2, c3 = (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p0 & np.uint64(_MASK)
        k0, k1 = (k0 + WEYL[0]) & _MASK, (k1 + WEYL[1]) & _MASK
    return np.stack((c0, c1, c2, c3), axis=1).astype(np.uint32)


def random_words(count: int, seed: int, call: int, first: int = 0) -> NDArray[np.uint32]:
    """`count` 32-bit words of draw `call` under `seed`, starting at word `first`."""
    start, before = divmod(first, 4)
    block = np.arange((before + count + 3) // 4, dtype=np.uint64) + np.uint64(start)
    counter = np.empty((block.size, 4), np.uint32)
    counter[:, 0], counter[:, 1] = block & np.uint64(_MASK), block >> np.uint64(32)
    counter[:, 2], counter[:, 3] = call & _MASK, call >> 32
    return philox(counter, (seed & _MASK, seed >> 32)).reshape(-1)[before : before + count]


def uniform(shape: Shape, dtype: np.dtype[Any], seed: int, call: int, first: int = 0) -> NDArray[Any]:
    """Uniform in [0, 1): multiples of 2**-24 from one word each (float32), of 2**-53 from two (float64).

    `first` is the index in the draw of the first element.
    """
    count = math.prod(shape)
    if dtype == np.float32:
        words = random_words(count, seed, call, first) >> np.uint32(8)
        return np.asarray(words.astype(np.float32) * np.float32(2**-24)).reshape(shape)
    high, low = random_words(2 * count, seed, call, 2 * first).reshape(-1, 2).T.astype(np.uint64)
    whole = (high >> np.uint64(5)) * np.uint64(2**26) + (low >> np.uint64(6))
    return np.asarray(whole * 2.0**-53).reshape(shape)


def normal(shape: Shape, dtype: np.dtype[Any], seed: int, call: int) -> NDArray[Any]:
    """Standard normal, by the Box-Muller transform of two words per element."""
    words = random_words(2 * math.prod(shape), seed, call).reshape(-1, 2)
    u, v = ((words + 0.5) * 2.0**-32).T
    return np.asarray(np.sqrt(-2 * np.log(u)) * np.cos(2 * np.pi * v), dtype).reshape(shape)


class Generator:
    """A seed and the count of draws made from it, `call`.

    `seed` is 0 to 2**64 - 1; others raise ValueError. Saving and restoring `call` resumes the sequence.

    >>> first, second = Generator(0), Generator(0)
    >>> rand(3, generator=first).equal(rand(3, generator=second))
    True
    """

    def __init__(self, seed: int = 0) -> None:
        try:
            seed = operator.index(seed)
        except TypeError:
            raise TypeError(f"seed {seed!r}: expected an integer") from None
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed {seed} is out of range: expected 0 to 2**64 - 1")
        self.seed = seed
        self.call = 0
        each_time(self._begin, ahead=True)  # a generator made in a captured function restarts in each replay

    def _begin(self) -> None:
        self.call = 0

    def next_call(self) -> int:
        """The index of the next draw, which it counts.

        >>> Generator(0).next_call()
        0
        """
        self.call += 1
        return self.call - 1

    def manual_seed(self, seed: int) -> Generator:
        """Restart from `seed`, and return the generator.

        >>> Generator(0).manual_seed(7)
        Generator(seed=7, call=0)
        """
        fresh = Generator(seed)

        def begin() -> None:
            self.seed, self.call = fresh.seed, 0

        each_time(begin, ahead=True)
        return self

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, call={self.call})"


def _expect_generator(generator: Generator) -> None:
    if not isinstance(generator, Generator):
        raise TypeError(f"generator must be a Generator; got {type(generator).__name__}: pass Generator(seed)")


class RowsBefore:
    """If processes share a batch, the count of its rows before those of this process: see `next_draw`."""

    count = 0


def next_draw(generator: Generator, row: int = 0) -> NDArray[np.uint64]:
    """The seed, the index of the next draw and the index of the first element, in an array that each replay rewrites.

    The first element is 0 unless processes share a batch with `row` elements per row: then it is the index in the whole
    batch, so that all processes together draw the values that one process with the whole batch would draw.
    """
    if type(generator) is not Generator:  # the usual case needs no call
        _expect_generator(generator)
    draw = np.zeros(3, np.uint64)

    def count() -> None:
        draw[0], draw[1], draw[2] = generator.seed, generator.next_call(), RowsBefore.count * row

    each_time(count, ahead=True)
    return draw


def next_normal(shape: Shape, dtype: np.dtype[Any], generator: Generator) -> NDArray[Any]:
    """Standard normal values of the next draw, drawn on the host; each replay of a capture draws new ones."""
    _expect_generator(generator)
    values = np.empty(shape, dtype)

    def draw() -> None:
        values[...] = normal(shape, dtype, generator.seed, generator.next_call())

    each_time(draw, ahead=True)
    return values


_default = Generator()


def default_generator() -> Generator:
    """The generator that random functions use if none is given.

    >>> default_generator() is manual_seed(0)
    True
    """
    return _default


def manual_seed(seed: int) -> Generator:
    """Restart the default generator from `seed`, and return it.

    >>> x = rand(3, generator=manual_seed(0))
    >>> x.equal(rand(3, generator=manual_seed(0)))
    True
    """
    return _default.manual_seed(seed)
