"""Averaging of gradients over all ranks during a backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any
from weakref import ref

import stackgrad.tensor as sg
from stackgrad.tensor import Tensor

from ._buckets import Bucket, make_buckets, signature
from ._call import Call
from ._shared import flights
from ._world import world

_made = count()


class Averaging:
    """Averages the gradients of a list of parameters, which may grow. With one rank it does nothing."""

    __captured__ = True  # replays make the same changes, or the changes end with the backward pass

    def __init__(self, params: Sequence[Tensor], bucket_bytes: int, compress: bool) -> None:
        self._params = params
        self._bucket_bytes, self._compress = bucket_bytes, compress
        self._index = next(_made)  # equal on all ranks, which create their optimizers in the same order
        self._buckets: dict[Any, tuple[list[Bucket], int]] = {}
        self._pass: _Pass | None = None
        self._strays: set[int] = set()
        self._hooked: set[int] = set()
        self._hook()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        raise TypeError("a DistributedOptimizer cannot be copied: create another one around a copy of its optimizer")

    def backward(self, loss: Tensor, samples: int, retain_graph: bool) -> None:
        """See DistributedOptimizer.backward."""
        here, params = world(), self._params
        if here.size == 1:
            loss.backward(retain_graph=retain_graph)
            return
        self._hook()
        before = {index: found for index, x in enumerate(params) if (found := x.grad) is not None}
        for index in before:
            params[index].grad = None
        buckets, made = self._plan(here.size)
        self._pass = _Pass(buckets, params, samples, made)
        try:
            if not loss.requires_grad:  # backward raises, perhaps only on this rank
                self._pass.compare()
            seed = sg.full(loss.shape, samples, dtype=loss.dtype, backend=loss.backend)
            loss.backward(seed, retain_graph=retain_graph)
            self._pass.finish()
        finally:
            self._pass = None
        for index, old in before.items():
            found = params[index].grad
            params[index].grad = old if found is None else old + found

    def expect_averaged(self) -> None:
        """Raise RuntimeError if a gradient comes from this rank only."""
        if world().size > 1:
            sg.each_time(self._check, ahead=True)

    def forget(self) -> None:
        """Note that the gradients were cleared."""
        if world().size > 1:
            sg.each_time(self._strays.clear, ahead=True)

    def _check(self) -> None:
        if self._strays:
            raise RuntimeError(
                f"step: the gradients of parameters {sorted(self._strays)} are those of this rank only: call "
                "optimizer.backward(loss, samples) instead of loss.backward()"
            )

    def _plan(self, ranks: int) -> tuple[list[Bucket], int]:
        """The buckets and their signature, which depend on the frozen parameters."""
        key = tuple([(x.requires_grad, x.backend, x.dtype) for x in self._params])
        if key not in self._buckets:
            buckets = make_buckets(self._params, self._bucket_bytes, ranks, self._compress)
            self._buckets[key] = buckets, signature(buckets, self._index)
        return self._buckets[key]

    def _hook(self) -> None:
        """Add a hook for complete gradients to each parameter, including those added or unfrozen since."""
        if world().size == 1:
            return
        me = ref(self)
        for index, parameter in enumerate(self._params):
            if index not in self._hooked and parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(partial(_on_gradient, me, index))
                self._hooked.add(index)

    def complete(self, index: int) -> None:
        """Note that the gradient of a parameter is complete."""
        if self._pass is not None:
            self._pass.complete(index)
        else:  # a backward that is not ours
            sg.each_time(partial(self._strays.add, index), ahead=True)


def _on_gradient(averaging: ref[Averaging], index: int, _: Tensor) -> None:
    found = averaging()
    if found is not None:
        found.complete(index)


class _Pass:
    """One backward pass. Private methods work on the host; replays repeat them."""

    def __init__(self, buckets: Sequence[Bucket], params: Sequence[Tensor], samples: int, made: int) -> None:
        self._params = params
        self._call = Call("backward", samples, made)
        self._flights = flights(buckets, self._call)
        self._of = {index: flight for flight in self._flights for index in flight.bucket.indices}
        self._complete = 0  # the count of leading flights with all their gradients
        self._started = 0
        sg.each_time(self._begin)

    def compare(self) -> None:
        """Raise unless all ranks call the same function."""
        sg.each_time(self._call.wait)

    def complete(self, index: int) -> None:
        """Take the gradient of a parameter, and start the buckets that are ready."""
        if index in self._of:
            self._of[index].put(index, self._params[index])
            while self._complete < len(self._flights) - 1 and not self._flights[self._complete].waiting:
                self._complete += 1
                sg.each_time(partial(self._advance, self._complete))

    def finish(self) -> None:
        """Wait for all buckets. A parameter with a gradient on any rank then has one on all ranks."""
        for flight in self._flights:
            flight.missing, flight.waiting = flight.waiting, set()
        found: list[frozenset[int]] = []

        def wait() -> None:
            used = self._wait()
            if found and used != found[0]:
                raise RuntimeError(
                    f"parameters {sorted(used ^ found[0])} have a gradient on some rank but had none in the captured "
                    "step, or vice versa: do not capture a step in which the used parameters change"
                )
            found[:] = [used]

        sg.each_time(wait)
        for flight in self._flights:
            for index in flight.to_give() & found[0]:
                parameter = self._params[index]
                parameter.give_grad(parameter.new(flight.view(index)))

    def _begin(self) -> None:
        self._started = 0
        self._call.start()

    def _advance(self, complete: int) -> None:
        """Advance this many flights without waiting. All ranks start each phase in the same order.

        Nothing is sent before all ranks are known to have buckets of the same sizes.
        """
        if not self._call.is_there():
            return
        for flight in self._flights[self._started : complete]:
            flight.start()
        self._started = complete
        for flight in self._flights[:complete]:
            if not flight.poll():
                return

    def _wait(self) -> frozenset[int]:
        """Wait for all flights. This also starts the last one, see `Flight.finish`."""
        self._call.wait()
        if self._flights:
            self._advance(len(self._flights) - 1)
        for flight in self._flights:
            flight.finish(flight is self._flights[-1])
        return frozenset().union(*[flight.used() for flight in self._flights])
