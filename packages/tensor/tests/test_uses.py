"""The names that code uses, read from its bytecode."""

from stackgrad.tensor._uses import Chain, uses_of

SCALE = 2.0


def used(function):
    return uses_of(function.__code__)


def test_chains_of_attributes():
    free = 3.0

    def function(self, x):
        self.a.b.c(x.d)
        self.count += 1
        self.new = SCALE * free
        return (x + 1).tail

    found = used(function)
    assert found.chains >= {
        Chain("self", "local", ("a", "b", "c")),
        Chain("x", "local", ("d",)),
        Chain("self", "local", ("count",)),
        Chain("self", "local", ("new",)),
        Chain("SCALE", "global", ()),
        Chain("free", "free", ()),
    }
    assert found.loose == {"tail"}
    assert not found.asks


def test_inner_functions_count_too():
    def function(self):
        return [lambda: self.inner.value for _ in range(3)]

    assert Chain("self", "local", ("inner", "value")) in used(function).chains


def test_inner_functions_can_be_excluded():
    total = 0

    def function():
        def inside():
            return total + SCALE

        return inside

    (inside,) = [code for code in function.__code__.co_consts if hasattr(code, "co_code")]
    assert Chain("total", "free", ()) in used(function).chains
    found = uses_of(function.__code__, frozenset([inside]))
    assert not {chain for chain in found.chains if chain.where != "local"}


def test_variables_that_are_only_set_count_too():
    total = 0

    def function():
        global SCALE
        nonlocal total
        total, SCALE = 1, 2.0

    assert used(function).chains >= {Chain("total", "free", ()), Chain("SCALE", "global", ())}
    assert total == 0


def test_reading_all_attributes_is_detected():
    assert used(lambda x: vars(x)).asks
    assert used(lambda x: getattr(x, "a")).asks  # noqa: B009
    assert used(lambda x: x.__dict__).asks
    assert not used(lambda x: x.a).asks


def test_attributes_that_are_only_called():
    def function(self, x):
        for part in self.parts:
            x = part.call(x, scale=1.0)
            x = part.both(x) + part.both
        self.made().last()
        self.made().changed = 1

    assert used(function).called == {"call", "made", "last"}
    assert used(function).loose >= {"last", "changed"}
