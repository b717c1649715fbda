"""Errors of exp and the like over the whole range of floats, within the bounds of _math, and special values."""

import math

import numpy as np
import pytest

from stackgrad.kernels.cpu._elementwise import elementwise
from stackgrad.tensor import OPS

# The bounds stated in _math, in units in the last place.
BOUNDS = {
    "float32": {"exp": 1.1, "log": 0.9, "tanh": 1.4, "sigmoid": 2.5, "erf": 1.3, "normal_cdf": 8.3, "normal_pdf": 1.4},
    "float64": {"exp": 1.1, "log": 0.9, "tanh": 1.7, "sigmoid": 2.5, "normal_pdf": 1.4},
}
EXACT = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "sigmoid": lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
    "erf": np.vectorize(math.erf, otypes=[float]),
    "normal_cdf": np.vectorize(lambda x: 0.5 * math.erfc(-math.sqrt(0.5) * x), otypes=[float]),
    "normal_pdf": lambda x: np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
}
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 5e-324, -5e-324, 1e-40, -1e-40, 2.0**-126, 2.0**-1022]


def patterns(dtype, step):
    """Values of all exponents and both signs: every `step`-th pattern of 32 bits, and random low bits for float64."""
    high = np.arange(0, 2**32, step, np.uint64)
    if dtype == "float32":
        return high.astype(np.uint32).view(np.float32)
    low = np.random.default_rng(0).integers(0, 2**32, high.size, np.uint64)
    return (high << np.uint64(32) | low).view(np.float64)


def usual(dtype, count=200_000):
    """Values where the functions are neither flat nor at their limits."""
    rng = np.random.default_rng(1)
    return np.concatenate([rng.uniform(-a, a, count) for a in (1, 20, 100 if dtype == "float32" else 740)]).astype(
        dtype
    )


@pytest.mark.parametrize(("dtype", "name"), [(dtype, name) for dtype in BOUNDS for name in BOUNDS[dtype]])
def test_over_the_whole_range(dtype, name):
    wide = np.float64 if dtype == "float32" else np.longdouble
    if np.finfo(wide).nmant <= np.finfo(dtype).nmant:
        pytest.skip("this machine has no floats wider than float64 to compare with")
    step = {"float32": 997, "float64": 9973}[dtype] * (10 if name in ("erf", "normal_cdf") else 1)
    x = np.concatenate([patterns(dtype, step), usual(dtype), np.array(SPECIAL, dtype)])
    found = elementwise(OPS[name], x)
    with np.errstate(all="ignore"):
        exact = EXACT[name](x.astype(wide))
        rounded = exact.astype(dtype)
    limits = ~np.isfinite(rounded)
    assert np.array_equal(found[limits], rounded[limits], equal_nan=True)
    assert np.array_equal(
        np.signbit(found), np.signbit(rounded) & ~np.isnan(rounded) | np.isnan(found) & np.signbit(found)
    )
    error = np.abs((found[~limits].astype(wide) - exact[~limits]) / np.spacing(np.abs(rounded[~limits])))
    assert error.max() <= BOUNDS[dtype][name], f"at {x[~limits][error.argmax()]!r}"


def test_the_same_bits_alone_and_in_a_vector():
    x = usual("float32", 1001)
    for name in BOUNDS["float32"]:
        whole = elementwise(OPS[name], x)
        alone = np.concatenate([elementwise(OPS[name], x[i : i + 1]) for i in range(0, x.size, 7)])
        assert np.array_equal(whole[::7], alone, equal_nan=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_half_of_a_normal_distribution_is_below_0(dtype):
    assert elementwise(OPS["normal_cdf"], np.array([0.0, -0.0], dtype)).tolist() == [0.5, 0.5]
