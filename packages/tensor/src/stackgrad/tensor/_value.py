"""An array, the version of its memory and its node in the graph: the part of a tensor that autograd needs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import _grads
from ._backend import Backend
from ._errors import not_a_tensor
from ._hooks import Handle, register
from ._plans import Layout, layout_of
from ._source import Source, refresh
from ._tape import capturing, open_tapes
from ._types import Array, DType, Shape

if TYPE_CHECKING:
    from ._autograd import Node
    from ._tensor import Tensor


class Version:
    """The count of in-place writes to a piece of memory, shared by all its views.

    `records`: how many of these writes are part of the graph; views then look for their new history.
    `twins`: copies of the memory in another order, kept equal to it (see _views).
    """

    count = 0  # class attributes until they change: few tensors are written to
    records = 0
    twins: Sequence[tuple[Array, Array]] = ()

    def __repr__(self) -> str:
        return f"Version({self.count})"

    def write_twins(self, backend: Backend, written: Array) -> None:
        """Repeat a write to the array `written` in its twins, or in the memory that it is a twin of."""
        source = None
        for there, copy in self.twins:
            if backend.shares_memory(written, copy):
                backend.assign(there, copy)
                source = copy
        for there, copy in self.twins:
            if copy is not source:
                backend.assign(copy, there)


class Value:
    """An array and its node in the graph: the base class of tensors, with what autograd needs of them."""

    __slots__ = (
        *("__weakref__", "_grad", "_laid", "_layout", "_requires_grad"),
        *("_version", "backend", "data", "node", "source"),
    )

    def __init__(
        self, data: Array, backend: Backend, version: Version | None = None, layout: Layout | None = None
    ) -> None:
        self.data = data
        self._layout = layout  # of the array `_laid`
        self._laid = data
        self.backend = backend
        self._version = version
        if open_tapes and capturing.tape is not None:
            capturing.tape.made(self, *([] if version else [self.version]))
        self.node: Node | None = None
        self.source: Source | None = None
        self._requires_grad = False
        self._grad: Tensor | _grads.Lent | None = None

    def _settled(self) -> Any:
        """Itself, or for a tensor whose values are computed on demand, one that holds them."""
        return self

    def memory(self) -> Array:
        """`data`, for work outside any Function: a captured function then records that it uses the tensor."""
        if open_tapes and capturing.tape is not None:
            capturing.tape.use(self)
        return self.data

    def read(self, what: str, by: Callable[[Array], Any] | None = None) -> Any:
        """The values as the backend's `to_numpy`, or `by`, returns them. Every read of values goes through here.

        Raises RuntimeError in a captured function, whose replays would repeat the recorded values.
        """
        if open_tapes and capturing.tape is not None:
            raise RuntimeError(
                f"{what} in a captured function, where replays would repeat this value: return the tensor, and read it "
                "outside"
            )
        return (by or self.backend.to_numpy)(self.data)

    @abstractmethod
    def new(self, data: Array, version: Version | None = None, layout: Layout | None = None) -> Tensor:
        """A tensor around `data` on the same backend. Pass `version` for a view, and `layout` if it is known."""
        raise NotImplementedError(f"{type(self).__name__} must define new(data, version, layout)")

    @property
    def version(self) -> Version:
        """The version of the memory, shared with its views. It is created on first use."""
        found = self._version
        if found is None:
            self._version = found = Version()
        return found

    @version.setter
    def version(self, version: Version) -> None:
        self._version = version

    @property
    def writes(self) -> int:
        """How often the memory was written in place.

        >>> x = ones(2)
        >>> x += 1
        >>> x.writes
        1
        """
        return self._version.count if self._version is not None else 0

    @property
    def layout(self) -> Layout:
        """The layout of `data`, a key for plans."""
        found = self._layout
        if found is None or self._laid is not self.data or found.backend is not self.backend:
            self._laid = self.data
            self._layout = found = layout_of(self.data, self.backend)
        return found

    @property
    def shape(self) -> Shape:
        """The extent of each dimension.

        >>> ones(2, 3).shape
        (2, 3)
        """
        return self.data.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> DType:
        """The NumPy dtype of the elements: float32, float64, int64 or bool.

        >>> tensor([1, 2]).dtype
        dtype('int64')
        """
        return self.data.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of dimensions.

        >>> ones(2, 3).ndim
        2
        """
        return self.data.ndim  # type: ignore[no-any-return]

    def numel(self) -> int:
        """The number of elements.

        >>> ones(2, 3).numel()
        6
        """
        return self.data.size  # type: ignore[no-any-return]

    def item(self) -> Any:
        """The one element as a Python scalar. Raises ValueError for any other count of elements.

        >>> tensor([2.5]).item()
        2.5
        """
        if self.data.size != 1:
            raise ValueError(f"item() of a tensor of shape {self.shape}: expected one element")
        return self.read("item()").item()

    @property
    def requires_grad(self) -> bool:
        """Whether `backward` reaches it. Setting it raises TypeError unless the dtype is float32 or float64.

        >>> tensor([1.0], requires_grad=True).requires_grad
        True
        """
        if Source.written:
            refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted and self.dtype.kind != "f":
            raise TypeError(f"a tensor of dtype {self.dtype} has no gradient: expected float32 or float64")
        if not wanted and self.node is not None:
            raise RuntimeError("requires_grad = False on a tensor that was computed and has a history: use .detach()")
        self._requires_grad = bool(wanted)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward accumulated; None before, and after `zero_grad`.

        >>> x = tensor([1.0, 2.0], requires_grad=True)
        >>> x.sum().backward()
        >>> x.grad
        tensor([1., 1.])
        """
        found = self._grad
        if (open_tapes and capturing.tape is not None) or isinstance(found, _grads.Lent):
            return _grads.read(self)
        return found

    @grad.setter
    def grad(self, gradient: Tensor | None) -> None:
        if gradient is not None:
            self._expect_gradient(gradient)
        self.give_grad(gradient)

    def register_post_accumulate_grad_hook(self, hook: Callable[..., Any]) -> Handle:
        """Make `backward` call hook(tensor) each time it has added this leaf's whole gradient to `grad`.

        The backward pass then continues. A captured function records what the hook does, and replays repeat it.
        Returns a handle with a `remove()` method. Raises RuntimeError unless this is a leaf with `requires_grad`.

        >>> x = tensor([1.0], requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda x: print(x.grad))
        >>> (x * 3).backward()
        tensor([3.])
        """
        return register(self, hook)

    def give_grad(self, gradient: Tensor | None) -> None:
        """Set `grad`, without a check of its shape and dtype."""
        if open_tapes and capturing.tape is not None:
            _grads.write(self, gradient)
        else:
            self._grad = gradient

    def _expect_gradient(self, gradient: Tensor) -> None:
        if not isinstance(gradient, Value):
            raise not_a_tensor("grad", gradient, "a tensor or None")
        mine, its = self.data, gradient.data
        if its.shape != mine.shape or its.dtype != mine.dtype or gradient.backend is not self.backend:
            raise ValueError(
                f"grad of shape {its.shape} and {its.dtype} on {gradient.backend.name!r} for a tensor of shape "
                f"{mine.shape} and {mine.dtype} on {self.backend.name!r}: expected the same"
            )
