"""Philox, and the values made from its words."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.tensor import Generator, bernoulli, default_generator, float32, float64, manual_seed, rand, randn
from stackgrad.tensor._random import normal, philox, random_words, uniform

# The known answers for philox4x32 with 10 rounds in the Random123 distribution of the paper's authors.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    k0, k1 = words(key)
    assert philox(np.array([words(counter)], np.uint32), (k0, k1)).tolist() == [words(expected)]


def plain_philox(counter: list[int], key: list[int]) -> list[int]:
    """The paper's figure in Python integers."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k, q % 2**32, (p >> 32) ^ d ^ m, p % 2**32
        k, m = (k + 0x9E3779B9) % 2**32, (m + 0xBB67AE85) % 2**32
    return [a, b, c, d]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 40))
def test_words_come_in_the_order_of_blocks(seed, call, count):
    key, draw = [seed % 2**32, seed >> 32], [call % 2**32, call >> 32]
    expected = [word for block in range(10) for word in plain_philox([block, 0, *draw], key)]
    assert random_words(count, seed, call).tolist() == expected[:count]


@pytest.mark.parametrize("dtype", [float32, float64])
def test_uniform_values_depend_on_the_index_alone(dtype):
    whole = uniform((1000,), dtype, 5, 7)
    np.testing.assert_array_equal(uniform((10,), dtype, 5, 7), whole[:10])
    np.testing.assert_array_equal(uniform((10, 1, 100), dtype, 5, 7).reshape(-1), whole)
    for first in (1, 2, 3, 4, 997, 999):
        np.testing.assert_array_equal(uniform((1000 - first,), dtype, 5, 7, first), whole[first:])
    assert uniform((), dtype, 5, 7) == whole[0]
    assert uniform((3, 0), dtype, 5, 7).shape == (3, 0)
    assert not np.array_equal(uniform((1000,), dtype, 6, 7), whole)
    assert not np.array_equal(uniform((1000,), dtype, 5, 8), whole)
    assert not np.array_equal(uniform((1000,), dtype, 5 + 2**32, 7), whole)


@pytest.mark.parametrize(("dtype", "unit"), [(float32, 2**-24), (float64, 2**-53)])
def test_uniform_values_are_multiples_of_a_unit_below_1(dtype, unit):
    drawn = uniform((1 << 16,), dtype, 1, 0)
    assert drawn.dtype == dtype
    assert drawn.min() >= 0
    assert drawn.max() <= 1 - unit
    assert np.all(drawn / unit == np.floor(drawn / unit))
    assert np.any(drawn / unit % 2 == 1)


@pytest.mark.parametrize("dtype", [float32, float64])
def test_uniform_values_are_uniform(dtype):
    n = 1 << 18
    drawn = uniform((n,), dtype, 2, 3).astype(np.float64)
    counts = np.bincount((drawn * 256).astype(int), minlength=256)
    chi_squared = np.sum((counts - n / 256) ** 2) / (n / 256)
    assert abs(chi_squared - 255) < 5 * math.sqrt(2 * 255)
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / math.sqrt(n)


def test_normal_values_have_the_moments_of_a_normal_distribution():
    n = 1 << 18
    drawn = normal((n,), float64, 4, 0)
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(drawn**power) - moment) < 5 * math.sqrt(variance / n)
    assert np.abs(drawn).max() < 7
    below = np.mean(drawn < 1.0)
    assert abs(below - 0.5 * (1 + math.erf(1 / math.sqrt(2)))) < 5 * 0.5 / math.sqrt(n)


def test_normal_values_depend_on_the_index_alone():
    whole = normal((100,), float32, 4, 0)
    np.testing.assert_array_equal(normal((2, 5), float32, 4, 0).reshape(-1), whole[:10])
    assert whole.dtype == float32


def test_each_draw_differs():
    generator = Generator(3)
    first, second = rand(5, generator=generator), rand(5, generator=generator)
    assert first.tolist() != second.tolist()
    assert generator.call == 2
    again = Generator(3)
    assert rand(5, generator=again).tolist() == first.tolist()
    again.call = 1  # saved and restored
    assert rand(5, generator=again).tolist() == second.tolist()
    assert repr(generator) == "Generator(seed=3, call=2)"


def test_the_default_generator_is_seeded():
    assert manual_seed(11) is default_generator()
    first = rand(4).tolist(), randn(4).tolist(), bernoulli(0.5, 4).tolist()
    manual_seed(11)
    assert (rand(4).tolist(), randn(4).tolist(), bernoulli(0.5, 4).tolist()) == first
    assert default_generator().call == 3


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_bernoulli_is_1_with_probability_p(p):
    n = 1 << 16
    drawn = bernoulli(p, n, generator=Generator(1))
    assert set(drawn.tolist()) <= {0.0, 1.0}
    assert abs(drawn.mean().item() - p) <= 5 * math.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=rf"seed {seed} is out of range: expected 0 to 2\*\*64 - 1"):
        Generator(seed)
    with pytest.raises(ValueError, match="is out of range"):
        manual_seed(seed)


def test_a_seed_is_an_integer():
    with pytest.raises(TypeError, match=r"seed 1\.5: expected an integer"):
        Generator(1.5)


def test_a_generator_restarts_from_another_seed():
    generator = Generator(1)
    rand(3, generator=generator)

    assert generator.manual_seed(5) is generator
    assert rand(4, generator=generator).tolist() == rand(4, generator=Generator(5)).tolist()
    with pytest.raises(ValueError, match="seed -1 is out of range"):
        generator.manual_seed(-1)
