"""The process of PyTorch's side of the comparison, which uses its public functions and two threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .. import _gpt
from .._pipe import serve
from .._shapes import CONVS
from .._values import LOGITS, SHAPES, class_indices, pixels, values
from .side import SAMPLES, STEPS, Arrays, Built, Side, dropout_facts

MEAN, STD = 0.1307, 0.3081


def _tensor(*shape: int, seed: int = 0) -> Any:
    return torch.from_numpy(values(shape, seed=seed))


def _laid(x: Any, variant: str) -> Any:
    """A tensor of four dimensions, in the memory format of the variant."""
    return x.contiguous(memory_format=torch.channels_last) if "channels last" in variant and x.dim() == 4 else x


def _arrays(result: Any) -> Arrays:
    return [x.detach().contiguous().numpy().copy() for x in (result if isinstance(result, tuple) else (result,))]


def _checked(work: Callable[[], Any]) -> Built:
    return work, lambda: _arrays(work())


def _with_gradients(variant: str, function: Callable[..., Any], *operands: Any) -> Built:
    """Forward and the gradients of all operands, for a random gradient of the result."""
    operands = tuple(_laid(x.detach(), variant).requires_grad_() for x in operands)
    shape = function(*operands).shape
    g = _laid(_tensor(*shape, seed=9), variant) if shape else None

    def work() -> Any:
        out = function(*operands)
        return (out, *torch.autograd.grad(out, operands, g))

    return _checked(work)


def _operands(*shapes: tuple[int, ...]) -> list[Any]:
    return [_tensor(*shape, seed=i) for i, shape in enumerate(shapes)]


def conv(variant: str, weights: Arrays, name: str) -> Built:
    """The same work as in `ours`."""
    shape = CONVS[name]
    function = F.conv1d if len(shape.size) == 1 else F.conv2d
    operands = _operands(shape.x, shape.weight, (shape.out,))
    return _with_gradients(variant, partial(function, padding=shape.padding), *operands)


def pool(variant: str, weights: Arrays, kind: str, window: int) -> Built:
    """The same work as in `ours`."""
    function = F.max_pool2d if kind == "max" else F.avg_pool2d
    return _with_gradients(variant, lambda x: function(x, window), *_operands((64, 8, 28, 28)))


def classify(variant: str, weights: Arrays, op: str, shape: str) -> Built:
    """The same work as in `ours`."""
    rows, columns = LOGITS[shape]
    if op == "softmax":
        return _with_gradients(variant, lambda x: F.softmax(x, 1), *_operands((rows, columns)))
    target = torch.from_numpy(class_indices(rows, columns))
    return _with_gradients(variant, lambda x: F.cross_entropy(x, target), *_operands((rows, columns)))


def dropout(variant: str, weights: Arrays, size: int) -> Built:
    """The same work as in `ours`."""
    x, g = _tensor(size).requires_grad_(), _tensor(size, seed=9)

    def work() -> Any:
        out = F.dropout(x, 0.25)
        return (out, *torch.autograd.grad(out, x, g))

    return work, lambda: dropout_facts(x.detach().numpy(), g.numpy(), *_arrays(work()))


def linear(variant: str, weights: Arrays) -> Built:
    """The same work as in `ours`."""
    return _with_gradients(variant, F.linear, *_operands((64, 400), (120, 400), (120,)))


def optimizer(variant: str, weights: Arrays, name: str) -> Built:
    """The same work as in `ours`, with one of PyTorch's three implementations of an optimizer."""
    params = [torch.nn.Parameter(_tensor(*array.shape, seed=i)) for i, array in enumerate(weights)]
    for i, parameter in enumerate(params):
        parameter.grad = _tensor(*parameter.shape, seed=i + 50)
    form = {"foreach": variant == "foreach", "fused": variant == "fused"}
    sgd, adam = torch.optim.SGD, torch.optim.Adam
    chosen = sgd(params, lr=0.01, momentum=0.9, **form) if name == "SGD" else adam(params, lr=0.001, **form)

    def check() -> Arrays:
        for _ in range(3):
            chosen.step()
        return [array for parameter in params for array in _arrays(parameter)]

    return chosen.step, check


def fused(variant: str, weights: Arrays, op: str) -> Built:
    """The same work as in `ours`."""
    if op == "chain":
        return _with_gradients(variant, _chain, *_operands((1000, 1000), (1000,), (1000, 1)))
    if op == "smooth_l1_loss":
        return _with_gradients(variant, partial(F.smooth_l1_loss, reduction="none"), *_operands(*[(1000, 1000)] * 2))
    return _with_gradients(variant, getattr(F, op), *_operands((1000, 1000)))


def _chain(x: Any, row: Any, column: Any) -> Any:
    return ((x * row + column).tanh() * row - x).sigmoid()


def elementwise(variant: str, weights: Arrays, op: str, layout: str, size: str) -> Built:
    """The same work as in `ours`."""
    rows, columns = SHAPES[size]
    x = {
        "contiguous": lambda: _tensor(rows, columns),
        "transposed": lambda: _tensor(columns, rows).T,
        "broadcast": lambda: _tensor(1, columns).expand(rows, columns),
    }[layout]()
    if op == "add":
        return _checked(partial(torch.add, x, _tensor(*x.shape, seed=1)))
    if op == "sum(0)":
        return _checked(partial(torch.sum, x, 0))
    return _checked(partial(getattr(torch, op), x))


def matmul(variant: str, weights: Arrays, batch: int, rows: int, columns: int) -> Built:
    """The same work as in `ours`."""
    shape = (rows, columns) if batch == rows else (batch, rows, columns)
    return _checked(partial(torch.matmul, _tensor(*shape, seed=0), _tensor(*shape, seed=1)))


class Course(torch.nn.Module):  # type: ignore[misc]
    """The course's network, which returns logits here, since F.cross_entropy includes the log-softmax."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.conv2 = torch.nn.Conv2d(4, 8, 3, padding=1)
        self.linear1 = torch.nn.Linear(392, 64)
        self.dropout = torch.nn.Dropout(rate)
        self.linear2 = torch.nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        """Images (n, 1, 28, 28) to logits (n, 10)."""
        out = F.relu(self.conv2(F.relu(self.conv1(x))))
        hidden = self.dropout(F.relu(self.linear1(F.avg_pool2d(out, 4).flatten(1))))
        return self.linear2(hidden)


def lenet5() -> Any:
    """The same layers as ours."""
    n = torch.nn
    features = (n.Conv2d(1, 6, 5, padding=2), n.ReLU(), n.MaxPool2d(2), n.Conv2d(6, 16, 5), n.ReLU(), n.MaxPool2d(2))
    classifier = (n.Linear(400, 120), n.ReLU(), n.Linear(120, 84), n.ReLU(), n.Linear(84, 10))
    return n.Sequential(*features, n.Flatten(), *classifier)


def _fill(model: Any, weights: Arrays) -> None:
    with torch.no_grad():
        for parameter, array in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(array))


def _model(name: str, weights: Arrays, variant: str, rate: float = 0.25) -> Any:
    model = lenet5() if name == "lenet5" else Course(rate)
    _fill(model, weights)
    return model.to(memory_format=torch.channels_last) if "channels last" in variant else model


def _normalised(images: Any) -> Any:
    return images.unsqueeze(1).float().div_(255).sub_(MEAN).div_(STD)


def train(variant: str, weights: Arrays, model_name: str, batch: int, source: str, how: str) -> Built:
    """The same work as in `ours`, but always eager, whatever `how` says."""
    images, labels = torch.from_numpy(pixels(SAMPLES)), torch.from_numpy(class_indices(SAMPLES))
    order = [torch.from_numpy(np.arange(i, i + batch)) for i in range(0, SAMPLES, batch)]
    ready = [(_laid(_normalised(images[i]), variant), labels[i]) for i in order]

    def stepper(rate: float) -> Callable[[], Any]:
        model = _model(model_name, weights, variant, rate)
        adam = torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.01, fused="fused" in variant or None)

        def step(x: Any, target: Any) -> Any:
            adam.zero_grad()
            loss = F.cross_entropy(model(x), target)
            loss.backward()
            adam.step()
            return loss.detach()

        if source == "float32":
            batches = cycle(ready)
            return lambda: step(*next(batches))
        indices = cycle(order)

        def from_pixels() -> Any:
            index = next(indices)
            return step(_laid(_normalised(images[index]), variant), labels[index])

        return from_pixels

    checked = stepper(0.0)
    return stepper(0.25), lambda: [np.array([checked().item() for _ in range(STEPS)])]


def gpt(variant: str, weights: Arrays, _: str, how: str) -> Built:
    """The same work as in `ours`, but eager, from the same source with other imports."""
    example = _gpt.example(pytorch=True)
    ready = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in _gpt.batches(example)]

    def stepper() -> Callable[[], Any]:
        model = _gpt.model(example)
        _fill(model, weights)
        adam = torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.1, fused=variant == "fused" or None)

        def step(x: Any, y: Any) -> Any:
            adam.zero_grad()
            loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            adam.step()
            return loss.detach()

        batches = cycle(ready)
        return lambda: step(*next(batches))

    checked = stepper()
    return stepper(), lambda: _gpt.losses(checked)


def inference(variant: str, weights: Arrays, model_name: str, batch: int) -> Built:
    """The same work as in `ours`."""
    model = _model(model_name, weights, variant).eval()
    x = _laid(_normalised(torch.from_numpy(pixels(batch))), variant)
    return _checked(torch.inference_mode()(partial(model, x)))


if __name__ == "__main__":
    torch.set_num_threads(2)
    kinds = (conv, pool, classify, dropout, linear, optimizer, fused, elementwise, matmul, train, gpt, inference)
    serve(Side({kind.__name__: kind for kind in kinds}).served())
