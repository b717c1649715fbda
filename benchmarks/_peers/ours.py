"""The process of our side of the comparison, which uses public functions on tensors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

from stackgrad import nn
from stackgrad.mnist import make_model, normalise
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, fuse, grad, manual_seed, no_grad

from .. import _gpt
from .._operands import classes, laid_out, normal
from .._pipe import serve
from .._shapes import CONVS
from .._steps import training_step
from .._values import LOGITS, class_indices, pixels
from .side import SAMPLES, STEPS, Arrays, Built, Side, dropout_facts
from .works import CAPTURED

Work = Callable[[], Any]
Kind = tuple[Work, Callable[[Work], Arrays]]  # a work, and a function that returns its results, captured or not


def _arrays(result: Tensor | tuple[Tensor, ...]) -> Arrays:
    return [x.detach().numpy().copy() for x in (result if isinstance(result, tuple) else (result,))]


def _third(work: Work) -> Any:
    """The result of the third call, which is the first replay if the work is captured."""
    work()
    work()
    return work()


def _checked(work: Work) -> Kind:
    return work, lambda work: _arrays(_third(work))


def _with_gradients(function: Callable[..., Tensor], *operands: Tensor) -> Kind:
    """Forward and the gradients of all operands, for a random gradient of the result."""
    shape = function(*operands).shape
    g = normal(*shape, seed=9) if shape else None
    if g is not None and g.ndim > 2:
        g = _channels_last(g)

    def work() -> tuple[Tensor, ...]:
        out = function(*operands)
        return (out, *grad(out, operands, g))

    return _checked(work)


def _channels_last(images: Tensor) -> Tensor:
    """Images (n, c, ...) in the memory layout of our convolutions and pools, channels last."""
    dims = range(images.ndim)
    there, back = (0, *dims[2:], 1), (0, dims[-1], *dims[1:-1])
    return images.detach().permute(*there).contiguous().permute(*back).requires_grad_(images.requires_grad)


def _leaves(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [normal(*shape, seed=i, requires_grad=True) for i, shape in enumerate(shapes)]


def conv(name: str) -> Kind:
    """One of the shapes, forward and backward."""
    shape = CONVS[name]
    function = nn.conv1d if len(shape.size) == 1 else nn.conv2d
    x, weight, bias = _leaves(shape.x, shape.weight, (shape.out,))
    return _with_gradients(partial(function, padding=shape.padding), _channels_last(x), weight, bias)


def pool(kind: str, window: int) -> Kind:
    """Forward and backward."""
    function = nn.max_pool2d if kind == "max" else nn.avg_pool2d
    (x,) = _leaves((64, 8, 28, 28))
    return _with_gradients(lambda x: function(x, window), _channels_last(x))


def classify(op: str, shape: str) -> Kind:
    """Forward and backward."""
    rows, columns = LOGITS[shape]
    if op == "softmax":
        return _with_gradients(lambda x: nn.softmax(x, 1), *_leaves((rows, columns)))
    target = classes(rows, columns)
    return _with_gradients(lambda x: nn.cross_entropy(x, target), *_leaves((rows, columns)))


def dropout(size: int) -> Kind:
    """Forward and backward."""
    (x,), g = _leaves((size,)), normal(size, seed=9)

    def work() -> tuple[Tensor, ...]:
        out = nn.dropout(x, 0.25)
        return (out, *grad(out, x, g))

    return work, lambda work: dropout_facts(x.detach().numpy(), g.numpy(), *_arrays(_third(work)))


def linear() -> Kind:
    """Forward and backward."""
    return _with_gradients(nn.linear, *_leaves((64, 400), (120, 400), (120,)))


def optimizer(name: str) -> Kind:
    """One step over LeNet's parameters."""
    params = list(make_model("lenet5", generator=Generator(0)).parameters())
    for i, parameter in enumerate(params):
        parameter.detach().copy_(normal(*parameter.shape, seed=i))
        parameter.grad = normal(*parameter.shape, seed=i + 50)
    chosen: nn.Optimizer = nn.SGD(params, lr=0.01, momentum=0.9) if name == "SGD" else nn.Adam(params, lr=0.001)

    def check(step: Work) -> Arrays:
        _third(step)
        return [array for parameter in params for array in _arrays(parameter)]

    return chosen.step, check


def fused(op: str) -> Kind:
    """A function that is one kernel, with a gradient that is another."""
    if op == "chain":
        return _with_gradients(_chain, *_leaves((1000, 1000), (1000,), (1000, 1)))
    if op == "smooth_l1_loss":
        return _with_gradients(partial(nn.functional.smooth_l1_loss, reduction="none"), *_leaves(*[(1000, 1000)] * 2))
    return _with_gradients(getattr(nn.functional, op), *_leaves((1000, 1000)))


@fuse
def _chain(x: Tensor, row: Tensor, column: Tensor) -> Tensor:
    return ((x * row + column).tanh() * row - x).sigmoid()


def elementwise(op: str, layout: str, size: str) -> Kind:
    """Without gradients."""
    x = laid_out(layout, size)
    if op == "add":
        return _checked(partial(x.add, normal(*x.shape, seed=1)))
    if op == "sum(0)":
        return _checked(partial(x.sum, 0))
    return _checked(getattr(x, op))


def matmul(batch: int, rows: int, columns: int) -> Kind:
    """Products of square matrices, or of batches of them."""
    shape = (rows, columns) if batch == rows else (batch, rows, columns)
    a, b = normal(*shape, seed=0), normal(*shape, seed=1)
    return _checked(partial(a.matmul, b))


def train(model_name: str, batch: int, source: str, how: str) -> Kind:
    """Steps of AdamW over repeated batches."""
    images, labels = pixels(SAMPLES), class_indices(SAMPLES)
    order = [np.arange(i, i + batch) for i in range(0, SAMPLES, batch)]
    ready = [(normalise(images[i]), from_numpy(labels[i])) for i in order]
    of_all = from_numpy(labels)

    def from_pixels(index: Tensor) -> tuple[Tensor, Tensor]:
        return normalise(images, index=index), of_all[index]

    def stepper(dropping: bool) -> Callable[[], Tensor]:
        model = make_model(model_name, generator=Generator(0))
        if not dropping and hasattr(model, "dropout"):
            model.dropout.p = 0.0
        if source == "float32":
            step, batches = training_step(model, how == "captured"), cycle(ready)
            return lambda: step(*next(batches))
        step, indices = training_step(model, how == "captured", from_pixels), cycle(order)
        return lambda: step(from_numpy(next(indices)))

    checked = stepper(dropping=False)
    return stepper(dropping=True), lambda _: [np.array([checked().item() for _ in range(STEPS)])]


def gpt(_: str, how: str) -> Kind:
    """Steps of the example over repeated batches, with clipped gradients."""
    example = _gpt.example()
    ready = [(from_numpy(x), from_numpy(y)) for x, y in _gpt.batches(example)]

    def stepper() -> Callable[[], Tensor]:
        model = _gpt_model()
        optimizer = nn.AdamW(model.parameters(), lr=0.001, weight_decay=0.1)

        def step(x: Tensor, y: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(x).flatten(0, 1), y.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            return loss.detach()

        chosen, batches = capture(step) if how == "captured" else step, cycle(ready)
        return lambda: chosen(*next(batches))

    checked = stepper()
    return stepper(), lambda _: _gpt.losses(checked)


def _gpt_model() -> nn.Module:
    manual_seed(0)
    example = _gpt.example()
    model: nn.Module = example.initialise(_gpt.model(example))
    return model


def inference(model_name: str, batch: int) -> Kind:
    """Logits of prepared float32 images, captured like training."""
    model = make_model(model_name, generator=Generator(0)).eval()
    return _checked(partial(capture(no_grad()(model)), normalise(pixels(batch))))


def weights(model_name: str) -> list[Any]:
    """The initial weights of all sides."""
    model = _gpt_model() if model_name == "gpt" else make_model(model_name, generator=Generator(0))
    return [array for parameter in model.parameters() for array in _arrays(parameter)]


def built(kind: Callable[..., Kind], form: str, weights: object, *arguments: Any) -> Built:
    """A work in a form, called or captured, and a function that returns its results."""
    work, results = kind(*arguments)
    chosen = capture(work) if form == CAPTURED else work
    return chosen, lambda: results(chosen)


if __name__ == "__main__":
    kinds = (conv, pool, classify, dropout, linear, optimizer, fused, elementwise, matmul, train, gpt, inference)
    side = Side({kind.__name__: partial(built, kind) for kind in kinds})
    serve({**side.served(), "weights": weights})
