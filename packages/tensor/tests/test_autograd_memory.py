"""Graphs of 100,000 operations, graphs that are freed by reference counts alone, and graphs in several threads."""

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from stackgrad.tensor import (
    Generator,
    avg_pool2d,
    batch_norm,
    concatenate,
    conv2d,
    cross_entropy,
    dropout,
    grad,
    is_recording,
    linear,
    log_softmax,
    max_pool2d,
    no_grad,
    ones,
    rand,
    softmax,
    tensor,
    where,
)

STEPS = 100_000


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def chain(x, steps=STEPS):
    y = x
    for i in range(steps // 4):
        y = y + 1 if i % 2 else y * 1.0  # saves nothing; saves its operands
        y = y.relu()  # saves its result
        y = y - 1 if i % 2 else y.reshape(1)
        y = y.tanh() if i % 50_000 == 40_000 else y[:]
    return y


def test_a_long_chain_is_built_differentiated_and_freed():
    x = tensor([0.5], requires_grad=True)
    y = chain(x)
    node = weakref.ref(y.node)
    y.backward()
    assert x.grad.tolist() == [1.0]
    del y
    assert node() is None


@pytest.mark.usefixtures("_no_collector")
def test_a_long_chain_is_freed_without_backward():
    x = tensor([0.5], requires_grad=True)
    y = chain(x, STEPS // 4)
    first = weakref.ref(y.node.edges[0])
    del y
    assert first() is None


def test_a_long_chain_can_be_differentiated_twice():
    x = tensor([0.5], dtype="float64", requires_grad=True)
    y = x
    for _ in range(5_000):
        y = y * 1.0001
    (first,) = grad((y * y).sum(), x, create_graph=True)
    (second,) = grad(first.sum(), x)
    assert second.item() == pytest.approx(2 * 1.0001**10_000, rel=1e-9)


X = rand(2, 4, 3, 3, dtype="float64", generator=Generator(1), backend="numpy")
FUNCTIONS = {
    "elementwise": lambda x: (x.exp() + x.tanh() * x.sigmoid()).sqrt(),
    "relu": lambda x: x.relu(),
    "maximum": lambda x: x.maximum(0.5).clip(0, 1),
    "where": lambda x: where(x > 0.5, x, 0.0),
    "reduce": lambda x: x.sum(1) * x.mean((0, 1)) + x.max(1) + x.prod(1) + x.var(1),
    "cumsum": lambda x: x.cumsum(-1),
    "views": lambda x: x.permute(1, 0, 2, 3).reshape(8, 9)[::2].T.expand(3, 9, 4),
    "index": lambda x: x[[0, 1, 0]][x[[0, 1, 0]] > 0.5],
    "concatenate": lambda x: concatenate([x, x * 2]),
    "matmul": lambda x: x @ x,
    "linear": lambda x: linear(x, rand(5, 3, dtype="float64"), rand(5, dtype="float64")),
    "conv2d": lambda x: conv2d(x, rand(2, 4, 2, 2, dtype="float64")),
    "max_pool2d": lambda x: max_pool2d(x, (2, 2), (1, 1)),
    "avg_pool2d": lambda x: avg_pool2d(x, (2, 2), (1, 1)),
    "softmax": lambda x: softmax(x, 1),
    "log_softmax": lambda x: log_softmax(x, 1),
    "cross_entropy": lambda x: cross_entropy(x.reshape(8, 9), ones(8, dtype="int64")),
    "batch_norm": lambda x: batch_norm(x, ones(4, dtype="float64"), ones(4, dtype="float64"))[0],
    "dropout": lambda x: dropout(x, 0.5),
    "cast": lambda x: x.astype("float32"),
}


@pytest.mark.usefixtures("_no_collector")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_graph_is_freed_without_the_collector(name):
    x = X.clone().requires_grad_()
    for finish in (
        lambda y: None,
        lambda y: y.sum().backward(),
        lambda y: grad(y.sum(), x),
        lambda y: grad((y * y).sum(), x, create_graph=True),
    ):
        y = FUNCTIONS[name](x)
        result, node = weakref.ref(y), weakref.ref(y.node)
        finish(y)
        del y
        assert result() is None
        assert node() is None


@pytest.mark.usefixtures("_no_collector")
def test_a_gradient_with_a_graph_is_freed_with_it():
    x = X.clone().requires_grad_()
    (first,) = grad(x.exp().sum(), x, create_graph=True)
    node = weakref.ref(first.node)
    del first
    assert node() is None


@pytest.mark.usefixtures("_no_collector")
def test_backward_frees_saved_tensors():
    x = X.clone().requires_grad_()
    middle = x * 2
    out = (middle * middle).sum()
    kept = weakref.ref(middle)
    del middle
    assert kept() is not None
    out.backward()
    assert kept() is None


def test_each_thread_has_its_own_mode_and_graph():
    results: dict[int, float] = {}
    modes: list[bool] = []
    barrier = threading.Barrier(4)

    def work(i: int) -> None:
        barrier.wait(timeout=30)
        x = tensor([float(i)], dtype="float64", requires_grad=True)
        for _ in range(100):
            (found,) = grad((x * x * x).sum(), x)
        results[i] = found.item()
        with no_grad():
            barrier.wait(timeout=30)
        modes.append(is_recording())

    with no_grad():
        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert results == {i: 3.0 * i * i for i in range(4)}
    assert modes == [True] * 4


def test_threads_may_add_to_the_same_leaf_in_turn():
    x = tensor([1.0], requires_grad=True)
    lock = threading.Lock()

    def work() -> None:
        for _ in range(20):
            y = (x * 2).sum()
            with lock:
                y.backward()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert x.grad.tolist() == [120.0]
