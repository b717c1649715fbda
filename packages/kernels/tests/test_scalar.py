"""Scalar forms of the op table as functions."""

import math

import numpy as np
import pytest

from stackgrad.kernels._scalar import (
    power_of_integers,
    quotient_of_integers,
    remainder_of_integers,
    scalar_compiler,
    types_of,
)
from stackgrad.kernels.cpu import _math
from stackgrad.tensor import OPS

compile_scalar = scalar_compiler(lambda name: getattr(math, name), lambda function: function)


def test_a_form_is_a_function():
    twice = compile_scalar("x + T(2) * exp(y)")
    found = twice(np.float32(1), np.float32(0), np.float32(0))
    assert (found, type(found)) == (3, np.float32)


def test_a_form_that_calls_an_unknown_function():
    with pytest.raises(ValueError, match=r"scalar expression 'cot\(x\)': cot is not x, y, z, T, abs"):
        compile_scalar("cot(x)")


def test_other_functions_are_those_of_math():
    assert _math.function_of("atan") is math.atan
    assert _math.function_of("exp") is _math.exp


@pytest.mark.parametrize(("x", "y"), [(2, 10), (-3, 5), (0, 0), (7, 1), (2**62, 2), (3, 41)])
def test_powers_of_integers(x, y):
    with np.errstate(over="ignore"):
        assert power_of_integers(np.int64(x), np.int64(y), None) == np.power(np.array([x]), np.array([y]))[0]


def test_types_of_operands():
    assert types_of(OPS["where"], "bool")("T") == ("bool", "T", "T", "T")
    assert types_of(OPS["lt"], "bool")("T") == ("T", "T", "T", "bool")
    assert types_of(OPS["add"], "bool")("T") == ("T", "T", "T", "T")


@pytest.mark.parametrize("x", [-(2**63), -7, -1, 0, 5, 2**63 - 1])
@pytest.mark.parametrize("y", [-(2**63), -3, -1, 0, 1, 2, 2**63 - 1])
def test_quotients_and_remainders_of_integers(x, y):
    with np.errstate(all="ignore"):
        x, y = np.int64(x), np.int64(y)
        assert quotient_of_integers(x, y, None) == np.floor_divide(np.array([x]), y)[0]
        assert remainder_of_integers(x, y, None) == np.remainder(np.array([x]), y)[0]
