"""Powers of integers, as both backends compile them: what Numba and numba-cuda have goes through float64."""

from typing import Any


def power_of_integers(x: Any, y: Any, z: Any) -> Any:
    """x ** y for y of 0 or more, by squarings that wrap round in 64 bits as NumPy's. A negative y never comes here."""
    T = type(x)
    power = T(1)
    while y > 0:
        if y & 1:
            power *= x
        x *= x
        y >>= 1
    return power
