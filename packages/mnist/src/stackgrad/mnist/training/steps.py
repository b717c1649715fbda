"""The training loop. It can be stopped after any step and resumed with the same result."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stackgrad.nn import distributed
from stackgrad.nn.distributed import DistributedOptimizer, convert_sync_batchnorm, share, world
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, get_backend

from ..data.datasets import Split
from ..errors import FailureError
from ..models import Model, normalise
from .early import EarlyStopping, held_out, hold_out
from .evaluate import loss_and_accuracy
from .losses import Losses
from .ranks import gathered
from .recipes import OPTIMIZERS, SCHEDULES, Recipe

WARM_STEPS = 20  # images per second leave out these first steps, in which kernels are loaded or compiled


@dataclass(frozen=True)
class Validation:
    """Loss and accuracy on the held-out images after an epoch."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Step:
    """A training step that was done.

    On a backend where losses are read rarely (see `losses`), `loss` and `accuracy` are the last that were read. They
    are those of this step for the first step, for every 50th, and for the last of an epoch.

    Attributes:
        step, epoch: counted from 1.
        loss, accuracy: of the batch, before the step.
        lr: the learning rate of the step.
        images_per_second: so far; 0 in the first steps.
        validation: set after the last step of an epoch, with early stopping.
    """

    step: int
    epoch: int
    loss: float
    accuracy: float
    lr: float
    images_per_second: float
    validation: Validation | None = None


class NotFiniteError(FailureError):
    """The loss or a weight became NaN or infinite. `bad_since` is the first step that is known to have produced bad
    weights: if the loss of a step is bad, the step before."""

    def __init__(self, message: str, bad_since: int) -> None:
        super().__init__(message)
        self.bad_since = bad_since


class Clock:
    """Measures images per second, without the first steps."""

    def __init__(self) -> None:
        self.steps = 0
        self.images = 0
        self.start = time.perf_counter()

    def tick(self, images: int, total_steps: int) -> float:
        """Count a step with `images` images. Returns images per second so far."""
        now = time.perf_counter()
        self.steps += 1
        if self.steps <= min(WARM_STEPS, max(1, total_steps // 10)):
            self.images, self.start = 0, now
            return 0.0
        self.images += images
        return self.images / (now - self.start)


def steps_per_epoch(recipe: Recipe, images: int) -> int:
    """How many steps an epoch has, with `images` training images."""
    left = images if recipe.patience is None else images - held_out(images)
    return math.ceil(left / recipe.batch_size)


class Training:
    """The state of a training: model, optimizer, schedule, random numbers, and the count of steps.

    Args:
        model: trained in place, on its own backend.
        split: the training images; with `recipe.patience`, a tenth of them is held out.
        recipe: the hyperparameters.
        generator: the source of all random numbers: the choice of held-out images, the order of the images, dropout and
            augmentation. A model with dropout must use the same generator.

    Attributes:
        step: how many steps are done.
        total_steps: how many steps there are, unless early stopping ends training.
    """

    def __init__(self, model: Model, split: Split, recipe: Recipe, generator: Generator) -> None:
        self.model = model if world().size == 1 else convert_sync_batchnorm(model)
        self.recipe = recipe
        self.generator = generator
        self.split = split
        self.held_out: Split | None = None
        if recipe.patience is not None:
            self.split, self.held_out = hold_out(split, generator)
        self.steps_per_epoch = steps_per_epoch(recipe, len(split))
        self.total_steps = recipe.epochs * self.steps_per_epoch
        self.optimizer = DistributedOptimizer(OPTIMIZERS[recipe.optimizer](model.parameters(), recipe))
        self.schedule = SCHEDULES[recipe.schedule](self.optimizer, recipe, self.total_steps)
        self.early = EarlyStopping(recipe.patience)
        self.step = 0
        self._losses = Losses()
        self._loss = self._accuracy = math.nan  # the last that were read
        self._call_of_epoch = generator.call  # the generator's call that drew the order of the epoch's images

    @property
    def done(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.total_steps or self.early.over

    def steps(self) -> Iterator[Step]:
        """Do the steps that are left, and yield after each. Raises NotFiniteError if the loss is NaN or infinite."""
        pixels, labels = np.ascontiguousarray(self.split.images), from_numpy(self.split.labels.astype(np.int64))
        clock = Clock()
        self.model.train()

        @capture
        def learn(index: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
            images = given[0] if given else normalise(pixels, index=index)
            classes = labels[index]
            self.optimizer.zero_grad()
            output = self.model(images)
            loss = self.model.loss(output, classes)
            self.optimizer.backward(loss, len(images))
            self.optimizer.step()
            correct = (output.detach().argmax(1) == classes).where(1.0, 0.0).sum()
            return self._losses.keep(loss.detach()), correct

        while not self.done:
            epoch = self.step // self.steps_per_epoch + 1
            for index in self._batches():
                lr = self.optimizer.lr
                left = len(self.split) - self.step % self.steps_per_epoch * self.recipe.batch_size
                size = min(self.recipe.batch_size, left)  # of the batch, over all ranks
                last_losses, correct = learn(from_numpy(index), *self._given(index, size))
                self._losses.count(last_losses, len(index) / size)
                self.schedule.step()
                self.step += 1
                ends = self.step % self.steps_per_epoch == 0
                if ends or self.step == 1 or self.step % self._losses.every == 0:
                    self._read_losses()
                    self._accuracy = float(gathered(correct.item()).sum()) / size
                validation = self._validate(lr) if ends else None
                rate = clock.tick(size, self.total_steps)
                yield Step(self.step, epoch, self._loss, self._accuracy, lr, rate, validation)

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        """The remaining batches of this epoch, as indices of images: this rank's share of each."""
        done, call = self.step % self.steps_per_epoch, self.generator.call
        if done:
            self.generator.call = self._call_of_epoch
        else:
            self._call_of_epoch = call
        batches = distributed.batches(len(self.split), self.recipe.batch_size, self.generator)
        if done:
            self.generator.call = call
        return itertools.islice(batches, done, None)

    def _given(self, index: NDArray[np.int64], batch_size: int) -> list[Tensor]:
        """The images of a step, for this rank; empty if the step can read them itself, which takes less time."""
        if self.recipe.augment:
            return [normalise(self._augmented(self.split.images[index], batch_size))]
        return [] if get_backend().name in ("cpu", "numpy") else [normalise(self.split.images, index=index)]

    def _augmented(self, images: NDArray[np.uint8], batch_size: int) -> NDArray[np.uint8]:
        from .augment import augment  # imported here, since it imports the kernels

        return augment(images, self.generator, None, batch_size, share(batch_size))

    def _validate(self, lr: float) -> Validation | None:
        if self.held_out is None:
            return None
        found = Validation(*loss_and_accuracy(self.model, self.held_out))
        self.model.train()
        self._expect_finite("the loss on the held-out images", found.loss, self.step, lr, bad_since=self.step)
        self.early.see(found.loss, found.accuracy, self.step // self.steps_per_epoch, self.model)
        return found

    def _read_losses(self) -> None:
        """Read the losses that are not read yet. Raises NotFiniteError at the first one that is NaN or infinite."""
        losses = self._losses.read()
        for step, loss in enumerate(losses, self.step - len(losses) + 1):
            self._expect_finite("the loss", loss, step, self.schedule.rate(step - 1), bad_since=step - 1)
            self._loss = loss

    def _expect_finite(self, what: str, value: float, step: int, lr: float, bad_since: int) -> None:
        if not math.isfinite(value):
            message = f"{what} is {value} at step {step:,}, with learning rate {lr:.3g}: try a lower --lr"
            raise NotFiniteError(message, bad_since)

    def expect_finite_weights(self) -> None:
        """Raise NotFiniteError if the last step made a weight NaN or infinite, which no loss shows yet."""
        self._read_losses()
        if not all(np.isfinite(tensor.numpy()).all() for tensor in self.model.state_dict().values()):
            rate = self.schedule.rate(max(0, self.step - 1))
            message = f"step {self.step:,}, with learning rate {rate:.3g}, made some weights infinite or NaN"
            raise NotFiniteError(f"{message}: try a lower --lr", self.step)

    def keep_best(self) -> None:
        """With early stopping, load the weights of the epoch with the lowest loss on the held-out images."""
        if self.early.best:
            self.model.load_state_dict(self.early.best)

    def state_dict(self) -> dict[str, Any]:
        """The state that a checkpoint needs. Its tensors share memory with the model and the optimizer."""
        return {
            **{name: part.state_dict() for name, part in self._parts().items()},
            "generator": {"seed": self.generator.seed, "call": self.generator.call},
            "call_of_epoch": self._call_of_epoch,
            "step": self.step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of a training with the same arguments.

        Raises KeyError, TypeError or ValueError for a state that does not fit.
        """
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.generator.seed, self.generator.call = state["generator"]["seed"], state["generator"]["call"]
        self.step, self._call_of_epoch = state["step"], state["call_of_epoch"]

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "early": self.early}
