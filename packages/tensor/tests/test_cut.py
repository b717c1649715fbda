"""What a fused function keeps for its gradient: the cheapest values from which that can be computed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackgrad.tensor import NumpyBackend, fuse
from stackgrad.tensor._cut import cheapest
from stackgrad.tensor._trace import Trace
from stackgrad.tensor.testing import RandomFunction


class Composed(NumpyBackend):
    """Computes each stage with NumPy operations."""

    name = "composed"
    fuses = True


COMPOSED = Composed()


def test_the_cut_is_the_cheapest_of_all():
    """Compare with all sets of values that separate the operands from the gradient."""

    @given(st.integers(0, 2**32))
    def check(seed):
        function = RandomFunction(np.random.default_rng(seed), steps=3)
        traces = []
        with pytest.MonkeyPatch.context() as patch:
            init = Trace.__init__
            patch.setattr(Trace, "__init__", lambda trace, *a, **k: (init(trace, *a, **k), traces.append(trace))[0])
            fuse(function)(*function.operands(COMPOSED))
        for trace in traces:
            if not trace.name.startswith("the gradient"):
                continue
            g = trace.inputs[-1].data
            hand = [x.data for x in trace.inputs[:-1]] + traces[0].roots
            found = cheapest(trace.roots, g, hand)
            assert cost(found, hand) == best(trace.roots, g, hand)

    check()


def cost(values, hand):
    return sum(x.nbytes * (1 if any(x is y for y in hand) else 2) for x in values)


def best(roots, g, hand):
    """The least cost, by trying every sufficient set of forward values."""
    order, late = [], set()

    def visit(x):
        if x not in order:
            for part in x.operands:
                visit(part)
            order.append(x)

    for root in roots:
        visit(root)
    for x in order:
        if x is g or any(part in late for part in x.operands):
            late.add(x)
    early = [x for x in order if x not in late and x.kind not in ("constant", "scalar", "view")][:12]
    needed = [part for x in late for part in x.operands if part not in late] + [x for x in roots if x not in late]

    def enough(chosen):
        stack = list(needed)
        while stack:
            x = stack.pop()
            if x in chosen:
                continue
            if x.kind == "input":
                return False
            stack.extend(x.operands)
        return True

    choices = [[x for i, x in enumerate(early) if mask >> i & 1] for mask in range(2 ** len(early))]
    return min(cost(chosen, hand) for chosen in choices if enough(chosen))
