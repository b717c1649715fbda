"""A deprecated name warns once for each line that uses it."""

import inspect
import warnings

import pytest

from stackgrad.tensor import capture, ones
from stackgrad.tensor._deprecation import warn_deprecated


@pytest.fixture(autouse=True)
def new_sites(monkeypatch):
    monkeypatch.setattr("stackgrad.tensor._deprecation._warned", set())


@pytest.mark.parametrize("depth", [0, 3])
def test_it_names_the_line_outside(depth):
    names = {"__name__": "stackgrad.tensor._example", "warn_deprecated": warn_deprecated}
    exec("def f(d):\n    return f(d - 1) if d else warn_deprecated('f', 'g', 'stackgrad-tensor 0.4')\n", names)
    line = inspect.currentframe().f_lineno + 2
    with pytest.warns(DeprecationWarning, match="use g") as caught:
        names["f"](depth)
    (warning,) = caught
    assert str(warning.message) == "f is deprecated and will be removed in stackgrad-tensor 0.4: use g"
    assert (warning.filename, warning.lineno) == (__file__, line)


def test_once_for_each_line_under_any_filter():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            warn_deprecated("f", "g", "stackgrad-tensor 0.4")
            warn_deprecated("f", "g", "stackgrad-tensor 0.4")
    assert len(caught) == 2


def test_where_it_is_an_error_it_is_one_each_time():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(DeprecationWarning, match="use g"):
                warn_deprecated("f", "g", "stackgrad-tensor 0.4")


def test_a_captured_function_may_use_it():
    @capture
    def double(x):
        warn_deprecated("f", "g", "stackgrad-tensor 0.4")
        return x + x

    with pytest.warns(DeprecationWarning, match="use g") as caught:
        results = [double(ones(2)).tolist() for _ in range(4)]
    assert results == [[2.0, 2.0]] * 4
    assert len(caught) == 1
