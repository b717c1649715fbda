"""Batches of examples: shuffled indices, and a loader that prepares tensors ahead of time."""

from __future__ import annotations

import numbers
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

import stackgrad.tensor as sg
from stackgrad.tensor import Generator, Tensor
from stackgrad.tensor._checks import expect_functions, expect_ints

from ._arguments import expect_tensor, flag, whole

Example = TypeVar("Example", covariant=True)


def permutation(n: int, generator: Generator | None = None) -> npt.NDArray[np.int64]:
    """The integers 0 to n - 1 in random order, equal on every platform and backend for the same generator state.

    It draws random keys on the host and sorts them, ties by index. Shape (n,), int64.

    >>> sorted(nn.permutation(4).tolist())
    [0, 1, 2, 3]
    """
    keys = sg.rand(n, dtype=sg.float64, generator=generator, backend="numpy").numpy()
    return np.argsort(keys, kind="stable").astype(np.int64)


def batches(
    n: int, batch_size: int, generator: Generator | None = None, drop_last: bool = False
) -> Iterator[npt.NDArray[np.int64]]:
    """The indices 0 to n - 1, shuffled, in int64 arrays of `batch_size`. Call it once per epoch.

    The call itself draws the order, not the first batch.

    Args:
        n: the number of examples.
        batch_size: the number of examples in a batch; the last one may hold fewer.
        generator: the source of the order; the default generator if None.
        drop_last: whether to drop a last batch that is not full.

    Raises:
        ValueError: a negative n, a batch size below 1.

    >>> sorted(len(batch) for batch in nn.batches(5, 2))
    [1, 2, 2]
    """
    expect_ints("batches", n=n, batch_size=batch_size)
    if n < 0:
        raise ValueError(f"n must not be negative; got {n}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1; got {batch_size}")
    return _cut(permutation(n, generator), batch_size, drop_last)


def _cut(order: npt.NDArray[np.int64], batch_size: int, drop_last: bool) -> Iterator[npt.NDArray[np.int64]]:
    n = len(order)
    end = n - n % batch_size if drop_last else n
    return (order[start : start + batch_size] for start in range(0, end, batch_size))


class Dataset(Generic[Example]):
    """Examples by index. A subclass defines `__len__` and `__getitem__`; a list of examples also works.

    >>> class Squares(nn.Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return index * index
    >>> [batch.tolist() for batch in nn.DataLoader(Squares(), batch_size=2)]
    [[0, 1], [4, 9]]
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_length(self)} examples)"

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def __getitem__(self, index: int) -> Example:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors with the examples along their first dimension: example i is the tuple of their elements at index i.

    Raises:
        TypeError: an argument that is not a Tensor.
        ValueError: no tensors, tensors without dimensions or of different lengths.

    >>> nn.TensorDataset(tensor([1.0, 2.0]), tensor([0, 1]))[1]
    (tensor(2.), tensor(1))
    """

    def __init__(self, *tensors: Tensor) -> None:
        for index, tensor in enumerate(tensors):
            expect_tensor(f"tensor {index} of a TensorDataset", tensor)
        if len({tensor.shape[:1] for tensor in tensors}) != 1 or not tensors[0].ndim:
            shapes = ", ".join(str(tensor.shape) for tensor in tensors) or "none"
            raise ValueError(f"the tensors of a TensorDataset must have the same length; got shapes {shapes}")
        self.tensors = tensors

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(str(tensor.shape) for tensor in self.tensors)})"

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)


def _expect_dataset(what: str, dataset: Any) -> None:
    if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise TypeError(f"{what} takes a dataset with a length and examples by index; got {dataset!r}")


class Subset(Dataset[Example]):
    """Some examples of a dataset, by their indices.

    >>> nn.Subset([10, 20, 30], [2, 0])[0]
    30
    """

    def __init__(self, dataset: Dataset[Example] | Sequence[Example], indices: Sequence[int]) -> None:
        _expect_dataset("Subset", dataset)
        if not hasattr(indices, "__getitem__") or isinstance(indices, str | Mapping):
            raise TypeError(f"Subset: indices must be a sequence of ints; got {type(indices).__name__}")
        for kind in {*map(type, indices)} if isinstance(indices, list | tuple) else ():
            if not hasattr(kind, "__index__"):
                raise TypeError(f"Subset: indices must be ints; got {kind.__name__}")
        self.dataset = dataset
        self.indices = indices

    def __repr__(self) -> str:
        return f"Subset({_length(self)} of {_length(self.dataset)} examples)"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Example:
        return self.dataset[self.indices[index]]


def _length(dataset: Dataset[Any] | Sequence[Any]) -> int | str:
    """For a representation, which must not fail."""
    try:
        return len(dataset)
    except Exception:  # whatever a user's `__len__` raises
        return "?"


def random_split(
    dataset: Dataset[Example] | Sequence[Example], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[Example]]:
    """Split a dataset into random parts of these lengths, which together hold each example once.

    Args:
        dataset: any object with a length.
        lengths: counts of examples, which add up to all of them; or fractions, which add up to 1. Fractions round down,
            and the first parts get one of the remaining examples each.
        generator: the source of the order; the default generator if None.

    Raises:
        ValueError: lengths that do not add up.

    >>> [len(part) for part in nn.random_split(range(10), [0.8, 0.2])]
    [8, 2]
    """
    _expect_dataset("random_split", dataset)
    if not isinstance(lengths, Sequence) or not all(isinstance(length, numbers.Real) for length in lengths):
        raise TypeError(f"random_split: lengths must be a sequence of counts or fractions; got {lengths!r}")
    n = len(dataset)
    counts = list(lengths)
    if abs(sum(lengths) - 1) < 1e-9 and max(lengths, default=0) <= 1:
        counts = [int(n * fraction) for fraction in lengths]
        counts = [count + (i < n - sum(counts)) for i, count in enumerate(counts)]
    if sum(counts) != n or min(counts, default=0) < 0:
        raise ValueError(
            f"random_split of {n} examples: expected lengths that add up to {n}, or fractions to 1; got {lengths}"
        )
    order = permutation(n, generator).tolist()
    ends = [sum(map(int, counts[: i + 1])) for i in range(len(counts))]
    return [Subset(dataset, order[end - int(count) : end]) for end, count in zip(ends, counts, strict=True)]


class DataLoader:
    """Batches of a dataset, as an iterable for each epoch: `for images, labels in loader`.

    With `shuffle`, each new iteration draws an order from the generator. So the order differs between epochs but is the
    same for the same seed, for any number of threads. Threads prepare the next batches while one is in use. Batches
    arrive in order, and an error in an example is raised when its batch is due.

    Args:
        dataset: examples by index, and a length. Threads read several examples at a time: a dataset that draws random
            values while it is read is reproducible only with its own generator and at most one thread.
        batch_size: the number of examples in a batch; the last one may have fewer.
        shuffle: whether to shuffle the examples.
        num_workers: the number of threads that prepare batches; with 0 each batch is prepared on demand.
        collate_fn: a function that makes a batch from a list of examples; `default_collate` if None.
        pin_memory: accepted for compatibility with PyTorch; it has no effect.
        drop_last: whether to drop a last batch that is not full.
        generator: the source of the order; the default generator if None.
        prefetch_factor: the number of batches that each thread prepares ahead.

    Raises:
        TypeError: a dataset without a length, an argument that is not an int or a bool as it should be.
        ValueError: a batch size below 1, a negative count.

    >>> examples = nn.TensorDataset(ones(5, 2), arange(5))
    >>> [labels.tolist() for inputs, labels in nn.DataLoader(examples, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset[Any] | Sequence[Any],
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        generator: Generator | None = None,
        prefetch_factor: int = 2,
    ) -> None:
        _expect_dataset("a DataLoader", dataset)
        if collate_fn is not None:
            expect_functions("DataLoader", collate_fn=collate_fn)
        self.dataset = dataset
        self.batch_size = whole("batch_size", batch_size)
        self.shuffle = flag("shuffle", shuffle)
        self.num_workers = whole("num_workers", num_workers)
        self.collate_fn = collate_fn
        self.drop_last = flag("drop_last", drop_last)
        self.generator = generator
        self.prefetch_factor = whole("prefetch_factor", prefetch_factor)
        if self.batch_size < 1 or self.prefetch_factor < 1:
            raise ValueError(
                f"batch_size and prefetch_factor must be at least 1; got {batch_size} and {prefetch_factor}"
            )

    def __repr__(self) -> str:
        dataset = repr(self.dataset) if isinstance(self.dataset, Dataset) else f"{_length(self.dataset)} examples"
        parts = [dataset, f"batch_size={self.batch_size}"]
        defaults = {"shuffle": False, "num_workers": 0, "drop_last": False, "generator": None}
        parts += [f"{name}={getattr(self, name)}" for name, usual in defaults.items() if getattr(self, name) != usual]
        return f"{type(self).__name__}({', '.join(parts)})"

    def __len__(self) -> int:
        """The number of batches."""
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        parts = self._parts()
        return self._ahead(parts) if self.num_workers else map(self._batch, parts)

    def _parts(self) -> Iterator[npt.NDArray[np.int64]]:
        """The indices of each batch."""
        n = len(self.dataset)
        order = permutation(n, self.generator) if self.shuffle else np.arange(n)
        return _cut(order, self.batch_size, self.drop_last)

    def _batch(self, indices: npt.NDArray[np.int64]) -> Any:
        if isinstance(self.dataset, TensorDataset) and self.collate_fn is None:
            return list(self.dataset[indices])
        examples = [self.dataset[index] for index in indices.tolist()]
        return (self.collate_fn or default_collate)(examples)

    def _ahead(self, parts: Iterator[npt.NDArray[np.int64]]) -> Iterator[Any]:
        """Yield the batches of these indices in order, prepared by threads."""
        pool = ThreadPoolExecutor(self.num_workers, "stackgrad-data")
        waiting: deque[Future[Any]] = deque()
        try:
            for indices in parts:
                waiting.append(pool.submit(self._batch, indices))
                if len(waiting) > self.num_workers * self.prefetch_factor:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def default_collate(examples: list[Any]) -> Any:
    """A batch of similar examples: tensors, arrays and numbers stacked along a new first dimension.

    Tuples and lists become a list with a batch of each entry, dicts a dict; text stays in a list. Python numbers
    become int64 or float64, as in PyTorch.

    Raises:
        TypeError: examples of an unsupported type.
        ValueError: tensors of different shapes, tuples of different lengths.

    >>> nn.data.default_collate([(tensor([1.0]), 0), (tensor([2.0]), 1)])
    [tensor([[1.],
            [2.]]), tensor([0, 1])]
    """
    if not isinstance(examples, Sequence) or not examples:
        raise TypeError(f"default_collate takes a list of examples, one or more; got {examples!r}")
    first = examples[0]
    if isinstance(first, Tensor):
        return sg.stack(examples)
    if isinstance(first, np.ndarray | np.generic):
        return sg.from_numpy(np.stack(examples))
    if isinstance(first, int | float):
        return sg.tensor(examples, dtype=sg.float64 if isinstance(first, float) else None)
    if isinstance(first, str | bytes):
        return examples
    if isinstance(first, Mapping):
        return {key: default_collate([example[key] for example in examples]) for key in first}
    if isinstance(first, Sequence):
        parts = [default_collate(list(entries)) for entries in zip(*examples, strict=True)]
        return first._make(parts) if hasattr(first, "_make") else parts
    raise TypeError(
        f"cannot make a batch of examples of type {type(first).__name__}: give a collate_fn, or examples of tensors, "
        "arrays, numbers, text, and tuples, lists and dicts of them"
    )
