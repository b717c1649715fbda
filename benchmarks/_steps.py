"""Training steps and inference of the networks, as in `stackgrad-mnist`."""

from __future__ import annotations

from collections.abc import Callable

from stackgrad import nn
from stackgrad.mnist.models import Model, make_model, normalise
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, get_backend

from ._values import class_indices, pixels

Step = Callable[..., Tensor]
Batch = tuple[Tensor, Tensor]


def images(count: int, backend: str = "cpu") -> Tensor:
    """float32 images (count, 1, 28, 28), normalised."""
    return normalise(pixels(count), backend=backend)


def labels(count: int, backend: str = "cpu") -> Tensor:
    """int64 labels (count,)."""
    return from_numpy(class_indices(count), backend=backend)


def model_on(name: str, backend: str = "cpu") -> Model:
    """A new network with weights from seed 0."""
    return make_model(name, generator=Generator(0)).to(get_backend(backend))


def _as_given(batch: Tensor, target: Tensor) -> Batch:
    return batch, target


def training_step(model: Model, captured: bool, read: Callable[..., Batch] = _as_given) -> Step:
    """A step of AdamW, which returns the loss, on the batch that `read` makes of the step's arguments."""
    model.train()
    optimizer = nn.AdamW(model.parameters(), lr=0.001, weight_decay=0.01)

    def step(*given: Tensor) -> Tensor:
        batch, target = read(*given)
        optimizer.zero_grad()
        loss = model.loss(model(batch), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return capture(step) if captured else step
