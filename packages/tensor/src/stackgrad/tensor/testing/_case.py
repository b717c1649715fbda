"""A case: one property of one kind of work, checked on one backend with arrays that Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from .._autograd import grad
from .._backend import Backend, get_backend
from .._gradcheck import grad_check
from .._tensor import Tensor
from ._arrays import Data, Limits

Check = Callable[[Backend, Data, Limits], None]

EXAMPLES = {"values": 50, "gradient": 10, "second": 5}


@dataclass(frozen=True)
class Case:
    """`name` and `kind` ("values", "gradient" or "second" derivative) say what `check` checks."""

    name: str
    kind: str
    check: Check

    def __str__(self) -> str:
        return self.name if self.kind == "values" else f"{self.name}-{self.kind}"

    def run(self, backend: str | Backend, limits: Limits | None = None, max_examples: int | None = None) -> None:
        """Check it with as many random arrays as its kind asks for, or `max_examples`. Raises AssertionError."""
        found, bounds = get_backend(backend), limits or Limits()

        @settings(max_examples=max_examples or EXAMPLES[self.kind], deadline=None)
        @given(st.data())
        def examples(data: Data) -> None:
            self.check(found, data, bounds)

        examples()


def check_gradient(function: Callable[..., Tensor], leaves: Sequence[Tensor], order: int = 1) -> None:
    """Compare the first or second derivatives of `function` of float64 `leaves` with central differences."""
    if order == 1:
        grad_check(function, *leaves, rtol=1e-4, atol=1e-5)
        return

    def gradients(*inputs: Tensor) -> Tensor:
        out = function(*inputs)
        found = grad((out * out).sum(), inputs, create_graph=True)
        return sum((g.reshape(-1).sum() * (i + 1) for i, g in enumerate(found[1:], 1)), found[0])

    grad_check(gradients, *leaves, rtol=1e-3, atol=1e-4)
