"""A case: one property of one primitive, checked on a backend with arrays that Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hypothesis import given, settings

from .._backend import Backend
from .._backward import grad
from .._gradcheck import grad_check
from .._installed import get_backend
from .._tensor import Tensor
from ._draw import Draw, Limits, draws

Check = Callable[[Backend, Draw], None]
"""The test of a backend with what is drawn. Raises AssertionError if the backend is wrong."""

EXAMPLES = {"values": 100, "gradient": 15, "second": 8, "special": 1}


@dataclass(frozen=True)
class Case:
    """A named check; its `kind` is "values", "gradient", "second" (derivative) or "special" (values)."""

    name: str
    kind: str
    check: Check

    def __str__(self) -> str:
        return self.name if self.kind == "values" else f"{self.name}-{self.kind}"

    def run(self, backend: str | Backend, limits: Limits | None = None, max_examples: int | None = None) -> None:
        """Run the check with the default count of examples for its kind, or `max_examples`. Raises AssertionError."""
        found = get_backend(backend)

        @settings(max_examples=max_examples or EXAMPLES[self.kind], deadline=None)
        @given(draws(limits))
        def examples(draw: Draw) -> None:
            self.check(found, draw)

        examples()


def check_gradient(function: Callable[..., Tensor], leaves: Sequence[Tensor], order: int = 1) -> None:
    """Compare first or second derivatives of `function` at float64 `leaves` with central differences."""
    if order == 1:
        grad_check(function, *leaves, rtol=1e-4, atol=1e-5)
        return

    def gradients(*inputs: Tensor) -> Tensor:
        out = function(*inputs)
        found = grad((out * out).sum(), inputs, create_graph=True)
        return sum((g.reshape(-1).sum() * (i + 1) for i, g in enumerate(found[1:], 1)), found[0])

    grad_check(gradients, *leaves, rtol=1e-3, atol=1e-4)
