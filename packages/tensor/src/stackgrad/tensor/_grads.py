"""The `grad` of leaves in captured functions: replays read, drop and set it as a call would.

A replay writes gradients to the memory in which they were recorded. The leaf gets them as `Lent`: the first read of
`leaf.grad` makes a copy. If nobody reads it, for example because the captured function steps the optimizer itself,
nothing is copied. A gradient that exists before the call is like one more argument: the function works on a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ._tape import Tape, captured_on, capturing

if TYPE_CHECKING:
    from ._tensor import Tensor
    from ._value import Value


class Lent:
    """A gradient in the memory of a tape, which the next replay overwrites."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def taken(self) -> Tensor:
        """A copy of the gradient in its own memory."""
        return self.tensor.new(self.tensor.backend.copy(self.tensor.data))


@dataclass
class GradientSlot:
    """The `grad` of one leaf in one captured function.

    `read`: the function read the gradient from before; then replays require the same form of it, None or one like
    `copy`, in whose memory the function works. `kept`: the function leaves that gradient in place, after `writes`
    writes; otherwise it leaves `left`.
    """

    leaf: Value
    read: bool
    before: Tensor | None = None
    copy: Tensor | None = None
    kept: bool = False
    writes: int = 0
    left: Lent | None = None

    def matches(self) -> bool:
        """Whether the leaf's gradient has the same form as when the function was recorded."""
        found = self.leaf.grad
        if found is None or self.copy is None:
            return found is self.copy
        return alike(found, self.copy)

    def enter(self) -> None:
        """Copy the leaf's gradient to the memory that a replay reads."""
        if self.copy is not None:
            self.before = self.leaf.grad
            assert self.before is not None
            self.before.backend.assign(self.copy.data, self.before.data)

    def leave(self) -> None:
        """Leave the leaf's gradient as the function did."""
        if not self.kept:
            self.leaf._grad = self.left
        elif self.before is not None:
            if self.writes:
                self.before.backend.assign(self.before.data, cast("Tensor", self.copy).data)
                self.before.version.count += self.writes
                self.before.version.write_twins(self.before.backend, self.before.data)
            self.leaf._grad = self.before
        self.before = None

    def give_up(self) -> None:
        """Drop a lent gradient after an error in a replay: it may be partly written."""
        if not self.kept and self.leaf._grad is self.left:
            self.leaf._grad = None
        self.before = None


def read(leaf: Value) -> Tensor | None:
    """`leaf.grad` if it is lent, or in a captured function."""
    tape = capturing.tape
    if tape is not None and id(leaf) not in tape.gradients:
        before = _own(leaf)
        slot = tape.gradients[id(leaf)] = GradientSlot(leaf, read=True, before=before)
        if before is not None:
            with captured_on(None):  # a replay copies before it starts, not as recorded work
                slot.copy = leaf._grad = like(before)
                before.backend.assign(slot.copy.data, before.data)
    return _own(leaf)


def write(leaf: Value, gradient: Tensor | None) -> None:
    """`leaf.grad = gradient` in a captured function."""
    assert capturing.tape is not None
    slots = capturing.tape.gradients
    if id(leaf) not in slots:
        slots[id(leaf)] = GradientSlot(leaf, read=False)
    leaf._grad = gradient


def close(tape: Tape) -> None:
    """End a recording: determine the gradients that the function leaves, and leave them."""
    for key in [key for key in tape.gradients if key in tape.inner]:
        del tape.gradients[key]  # the leaf was made inside the function
    for slot in tape.gradients.values():
        found = slot.leaf._grad
        slot.kept = found is slot.copy and slot.read
        if slot.kept and slot.copy is not None:
            slot.writes = slot.copy.version.count
        elif found is not None:
            slot.left = found if isinstance(found, Lent) else Lent(found)
        slot.leave()


def like(x: Tensor) -> Tensor:
    """An uninitialised tensor with the shape, dtype and strides of x."""
    return x.new(x.backend.empty_like(x.data))


def alike(x: Value, y: Value) -> bool:
    """Whether both have the same backend, shape, dtype and strides."""
    a, b = x.data, y.data
    return x.backend is y.backend and a.shape == b.shape and a.dtype == b.dtype and bool(a.strides == b.strides)


def _own(leaf: Value) -> Tensor | None:
    """The gradient in the slot, copied if it is lent."""
    found = leaf._grad
    if isinstance(found, Lent):
        found = leaf._grad = found.taken()
    return found
