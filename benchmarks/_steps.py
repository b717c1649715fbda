"""Training steps and inference of the networks, as in `stackgrad-mnist`."""

from __future__ import annotations

from collections.abc import Callable

from stackgrad import nn
from stackgrad.mnist.models import Model, make_model, normalise
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, get_backend

from ._values import class_indices, pixels

Step = Callable[[Tensor, Tensor], Tensor]


def images(count: int, backend: str = "cpu") -> Tensor:
    """float32 images (count, 1, 28, 28), normalised."""
    return normalise(pixels(count), backend=backend)


def labels(count: int, backend: str = "cpu") -> Tensor:
    """int64 labels (count,)."""
    return from_numpy(class_indices(count), backend=backend)


def model_on(name: str, backend: str = "cpu") -> Model:
    """A new network with weights from seed 0."""
    return make_model(name, generator=Generator(0)).to(get_backend(backend))


def training_step(model: Model, captured: bool) -> Step:
    """A step of AdamW on a batch, which returns the loss."""
    model.train()
    optimizer = nn.AdamW(model.parameters(), lr=0.001, weight_decay=0.01)

    def step(batch: Tensor, target: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(model(batch), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return capture(step) if captured else step
