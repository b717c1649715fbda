"""The functions that scalar expressions of the op table call inside kernels: `function_of` gives one by name.

The functions below are written without branches or calls, so that LLVM vectorises them. The others come from `math`;
Numba calls the C library for each value. Bounds of the error, in units in the last place (the largest error found is
0.1 below; tried were all float32 where the functions are neither flat nor at their limits, and millions of float64):

              exp    expm1   log    log1p   tanh   sigmoid   erf    normal_cdf   normal_pdf
    float32   1.1    1.8     0.9    1.5     1.4    2.5       1.3    8.3          1.4
    float64   1.1    1.9     0.9    1.5     1.7    2.5       the C library's     1.4

exp(x) is the Taylor series of exp at r = x - k ln 2, |r| <= ln 2 / 2, times 2 to the k. log is fdlibm's e_log.c and
e_logf.c (Sun Microsystems, 1993): log(1 + f) by a polynomial in s = f / (2 + f). log1p does the same with the rounded
1 + x, and adds the rounding error to f. tanh and erf are odd polynomials near 0; elsewhere tanh is
1 - 2 / (exp(2 x) + 1), and erf is 1 minus a polynomial. normal_cdf of a negative x is the density times a quotient
for Mills' ratio. The gradient of gelu needs both: they share one exponential once LLVM has inlined them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .._scalar import scalar_compiler
from ._numba import OPTIONS, Deferred, helper, numba, types
from ._pointers import fma, select

_LN2 = math.log(2)


# Minimax fits: erf(x) / x - 1 as a polynomial in x * x - middle, and -erfc(x) as one in x - middle.
_ERF_BORDER, _ERF_FLAT, _ERF_MIDDLES = 1.2, 3.92, (0.72, 2.5)
_ERF_NEAR = (-0.0927105173, -0.248644829, 0.0682961494, -0.0154750748, 0.0029164548, -0.000474235712, 6.52738963e-05)
_ERF_FAR = (
    *(-0.000406933919, 0.00217814511, -0.00544658909, 0.00835236721, -0.00861549284, 0.00610641763, -0.00281842495),
    *(0.000565744005, 0.000287569885, -0.000275994971, 6.09369818e-05, 2.0385487e-05, -8.86482667e-06),
)
# Mills' ratio, the probability above x over the density at x, from 0 to 14.4: a minimax quotient of two polynomials.
_MILLS_OVER = (1.25331414, 0.856472374, 0.272035436, 0.0364825801, 5.12981182e-07)
_MILLS_UNDER = (1.0, 1.48124515, 0.898972495, 0.271516409, 0.0365077507)


class _Format(NamedTuple):
    """A float type, the integer type of its bits, and the constants that the functions need for them."""

    real: Any
    integer: Any
    fraction_bits: int
    bias: int
    ln2: tuple[float, float]  # in two parts; the first is so short that its product with an exponent is exact
    zero_below: float  # below it the exponential is 0
    infinite_above: float
    exp_terms: int
    quick_terms: tuple[float, ...]  # a minimax fit of (exp(r) - 1 - r) / r squared
    sigmoid_flat: float  # above it sigmoid is 1
    log_terms: tuple[float, ...]
    tanh_terms: tuple[float, ...]


_FORMATS = {
    32: _Format(
        *(np.float32, np.int32, 23, 127, (0.693359375, -2.12194440e-4), -104.0, 89.0, 7),
        quick_terms=(0.5, 0.166665733, 0.0416664556, 0.00836377684, 0.0013934545),
        sigmoid_flat=18.0,
        log_terms=(0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841),
        tanh_terms=(-0.333332802, 0.133313836, -0.0537339997, 0.0206181218, -0.00567930384),
    ),
    64: _Format(
        *(np.float64, np.int64, 52, 1023, (6.93147180369123816490e-01, 1.90821492927058770002e-10), -746.0, 710.0, 13),
        quick_terms=tuple([1 / math.factorial(n) for n in range(2, 14)]),
        sigmoid_flat=38.0,
        log_terms=(
            *(6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01),
            *(1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01),
        ),
        tanh_terms=(
            *(-0.33333333333333304, 0.13333333333327232, -0.05396825396519464, 0.021869488433868024),
            *(-0.008863233283585417, 0.0035920971977030447, -0.00145556835232144, 0.0005885584970378367),
            *(-0.00023389376878965048, 8.499867383719382e-05, -2.2553077749367917e-05, 2.2658683437514946e-06),
        ),
    ),
}


def _inside(fn: Callable[..., Any]) -> Any:
    return numba.njit(fn, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)


def _polynomial(form: _Format, coefficients: Sequence[float]) -> Any:
    """c[0] + c[1] x + ... by Horner's rule, unrolled: a loop in it would keep the outer loop from being vectorised."""
    names = {f"c{i}": form.real(c) for i, c in enumerate(coefficients)}
    text = f"c{len(coefficients) - 1}"
    for i in reversed(range(len(coefficients) - 1)):
        text = f"(c{i} + x * {text})"
    namespace: dict[str, Any] = dict(names)
    exec(f"def polynomial(x):\n    return {text}\n", namespace)
    return _inside(namespace["polynomial"])


class _Functions:
    """The functions for one float type."""

    def __init__(self, form: _Format) -> None:
        real, integer, bits, bias = form.real, form.integer, form.fraction_bits, form.bias
        zero, one, two, half = real(0), real(1), real(2), real(0.5)
        ln2_high, ln2_low = (real(part) for part in form.ln2)
        to_exponent, below, above = real(1 / _LN2), real(form.zero_below), real(form.infinite_above)
        series = _polynomial(form, [1 / math.factorial(n) for n in range(2, form.exp_terms + 1)])

        def raising(by):
            """Added to x, this leaves the integer k nearest to x in the last bits: `power` makes 2 to the k + by."""
            return real(1.5 * 2.0**bits + bias + by)

        exactly, halved, lowered, twice = raising(0), raising(-1), raising(-64), raising(bias)

        @_inside
        def power(pattern):
            """2 to the k, where `pattern` has k plus the bias in its last bits."""
            return integer(pattern << bits).view(real)

        @_inside
        def parted(x, raising):
            """The pattern of k, and r, where x = k ln 2 + r."""
            shifted = real(x * to_exponent + raising)
            k = real(shifted - raising)
            return integer(shifted.view(integer)), real(real(x - k * ln2_high) - k * ln2_low)

        @_inside
        def reduced(x, raising):
            """The same, with exp(r) - 1 in place of r."""
            pattern, r = parted(x, raising)
            return pattern, real(r + r * r * series(r))

        @_inside
        def exp(x):
            x = select(x < below, below, x)
            x = select(x > above, above, x)
            pattern, p = reduced(x, twice)
            # In two steps: 2 to the k may overflow or underflow even if the result does not.
            first = integer(pattern >> 1)
            return real(real(p + one) * power(first)) * power(integer(pattern - first))

        @_inside
        def exp_of_small(x):
            """exp of an x for which 2 to the k neither overflows nor underflows."""
            pattern, p = reduced(x, exactly)
            return real(real(p + one) * power(pattern))

        least = real(-50)  # below it expm1 is -1

        @_inside
        def expm1(x):
            held = select(x < least, least, select(x > above, above, x))
            pattern, p = reduced(held, halved)
            scale = power(pattern)  # half of it: 2 to the k may overflow
            out = real(two * real(scale * p + real(scale - half)))
            return select(x == zero, x, select(scale == half, p, out))

        odd_series, tanh_border, tanh_flat = _polynomial(form, form.tanh_terms), real(0.63), real(20)

        @_inside
        def tanh(x):
            size, square = real(abs(x)), real(x * x)
            held = select(size > tanh_flat, tanh_flat, size)
            outer = math.copysign(real(one - real(two / real(exp_of_small(held + held) + one))), x)
            return select(size > tanh_border, outer, real(x * real(one + square * odd_series(square))))

        quick_exp, sigmoid_flat = _polynomial(form, (1.0, 1.0, *form.quick_terms)), real(form.sigmoid_flat)
        tiny = real(2.0**-64)

        @_inside
        def sigmoid(x):
            held = select(x < below, below, x)
            # Numerator and denominator are scaled by 2 to the -64, because exp(-x) may overflow.
            pattern, r = parted(-select(held > sigmoid_flat, sigmoid_flat, held), lowered)
            return real(tiny / real(tiny + quick_exp(r) * power(pattern)))

        log_series = _polynomial(form, (0.0, *form.log_terms))
        smallest = real(2.0 ** (1 - bias))
        lift, lifted = real(2.0 ** (bits + 2)), integer(bits + 2)
        root = integer(real(math.sqrt(0.5)).view(integer))
        up_to_one = integer((bias << bits) - int(root))
        fraction = integer((1 << bits) - 1)
        infinity, nan = real(math.inf), real(math.nan)

        @_inside
        def parts_of(x):
            """n and f with x = 2 to the n times (1 + f), where 1 + f is from sqrt(1/2) to sqrt(2)."""
            pattern = integer(integer(real(x).view(integer)) + up_to_one)
            return integer((pattern >> bits) - bias), real(integer((pattern & fraction) + root).view(real) - one)

        whole = real(1.5 * 2.0**bits)
        whole_bits = integer(whole.view(integer))

        @_inside
        def log_of_parts(n, f):
            k = real(integer(n + whole_bits).view(real) - whole)
            s = real(f / real(two + f))
            square = real(half * f * f)
            return real(
                k * ln2_high - real(real(square - real(s * real(square + log_series(real(s * s))) + k * ln2_low)) - f)
            )

        @_inside
        def log(x):
            small = x < smallest
            n, f = parts_of(real(select(small, real(x * lift), x)))
            out = log_of_parts(integer(n - select(small, lifted, integer(0))), f)
            out = select(x == infinity, x, out)
            out = select(x == zero, -infinity, out)
            return select(x < zero, nan, select(x != x, x, out))

        @_inside
        def log1p(x):
            u = real(one + x)
            n, f = parts_of(u)
            lost = real(x - real(u - one))  # the rounding error of u
            out = log_of_parts(n, real(f + real(lost * power(integer(bias - n)))))
            out = select(u < zero, nan, select(u == zero, -infinity, out))
            return select(x < infinity, math.copysign(out, x), x)

        near, far = _polynomial(form, _ERF_NEAR), _polynomial(form, _ERF_FAR)
        erf_border, erf_flat, near_middle, far_middle = map(real, (_ERF_BORDER, _ERF_FLAT, *_ERF_MIDDLES))

        @_inside
        def erf(x):
            size = real(abs(x))
            is_far = size > erf_border
            off = far(real(select(size > erf_flat, erf_flat, size) - far_middle))
            limit = select(is_far, math.copysign(one, x), x)
            return real(limit + limit * select(is_far, off, near(real(x * x - near_middle))))

        density = _polynomial(form, [c / math.sqrt(2 * math.pi) for c in (1.0, 1.0, *form.quick_terms)])
        mills_over = _polynomial(form, [c * 2.0**-64 for c in _MILLS_OVER])
        mills_under = _polynomial(form, _MILLS_UNDER)
        minus_half, normal_flat, raised = real(-0.5), real(math.sqrt(-2 * form.zero_below)), raising(64)

        @_inside
        def size_of(x):
            """The absolute value, or where both functions are flat, the least such value."""
            size = real(abs(x))
            return select(size > normal_flat, normal_flat, size)

        @_inside
        def lifted_pdf(size):
            """The density at `size`, times 2 to the 64, because it may underflow."""
            half = real(minus_half * size)
            exponent = real(half * size)
            pattern, r = parted(exponent, raised)
            return real(density(real(r + fma(half, size, -exponent))) * power(pattern))

        @_inside
        def normal_pdf(x):
            return real(lifted_pdf(size_of(x)) * tiny)

        @_inside
        def normal_cdf(x):
            size = size_of(x)
            below = real(real(lifted_pdf(size) * mills_over(size)) / mills_under(size))
            return select(x > zero, real(one - below), below)

        self.exp, self.log, self.tanh, self.sigmoid, self.erf = exp, log, tanh, sigmoid, erf
        self.normal_cdf, self.normal_pdf = normal_cdf, normal_pdf
        self.expm1, self.log1p = expm1, log1p


@cache
def _functions(bits: int) -> _Functions:
    return _Functions(_FORMATS[bits])


def _offered(name: str) -> Deferred:
    """The function that kernels call by this name: for float types it is that of `_Functions`."""

    def make() -> Any:
        from numba.extending import overload

        def function(x):
            """Placeholder: Numba compiles calls of it as the implementation."""

        @overload(function, jit_options=OPTIONS)
        def implementation(x):  # Numba compares parameters, annotations included, with those of the function returned
            if x == types.float64 and name == "erf":
                return lambda x: math.erf(x)
            if x == types.float64 and name == "normal_cdf":
                return lambda x: 0.5 * math.erfc(-math.sqrt(0.5) * x)
            if not isinstance(x, types.Float):
                return None
            compute = getattr(_functions(x.bitwidth), name)
            return lambda x: compute(x)

        return function

    return Deferred(make)


_OWN: dict[str, Any] = {
    name: _offered(name)
    for name in ("exp", "expm1", "log", "log1p", "tanh", "sigmoid", "erf", "normal_cdf", "normal_pdf")
}
exp, log = _OWN["exp"], _OWN["log"]
LONG = frozenset(_OWN)

# `math` has these with integer results, or Numba does not know them. All but fmod are one instruction each.
_NUMPYS: dict[str, Callable[..., Any]] = {
    name: getattr(np, name) for name in ("floor", "ceil", "trunc", "rint", "fmod")
}


def function_of(name: str) -> Callable[..., Any]:
    """The function that kernels call by that name."""
    return _OWN.get(name) or _NUMPYS.get(name) or getattr(math, name)


compile_scalar = scalar_compiler(function_of, helper)
