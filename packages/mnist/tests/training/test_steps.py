import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, Dataset, make_model, normalise
from stackgrad.mnist.runs.checkpoints import digest
from stackgrad.mnist.training.recipes import Recipe
from stackgrad.mnist.training.steps import Clock, NotFiniteError, Training
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, set_default_backend

SHORT = Recipe(epochs=2, batch_size=32, lr=0.003, weight_decay=0.01)


def weights(name: str, data: Dataset, seed: int, backend: str) -> npt.NDArray[np.float32]:
    """All weights after a short training, as one array."""
    set_default_backend(backend)
    generator = Generator(seed)
    model = make_model(name, generator=generator)
    for _ in Training(model, data.train, SHORT, generator).steps():
        pass
    return np.concatenate([parameter.detach().numpy().ravel() for parameter in model.parameters()])


# The captured step


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_replayed_step_equals_a_called_one(name: str, tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = weights(name, tiny, 3, "cpu")
    monkeypatch.setattr("stackgrad.mnist.training.steps.capture", lambda step: step)
    assert np.array_equal(replayed, weights(name, tiny, 3, "cpu"))


def layers_and_schedule(captured: bool) -> list[npt.NDArray[np.float32]]:
    """The state and losses after some steps with layers and optimizers that the models do not use."""
    set_default_backend("cpu")
    generator = Generator(1)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, generator=generator),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Linear(64, 10, generator=generator),
        nn.Dropout(0.5, generator=generator),
    )
    optimizer = nn.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    schedule = nn.StepDecay(optimizer, every=2, factor=0.5)

    def step(images: Tensor, target: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = nn.mse_loss(model(images), target)
        loss.backward()
        optimizer.step()
        return loss.detach()

    learn = capture(step) if captured else step
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(6):
        images, target = rng.standard_normal((5, 1, 28, 28)), rng.standard_normal((5, 10))
        losses.append(learn(from_numpy(images.astype(np.float32)), from_numpy(target.astype(np.float32))).item())
        schedule.step()
    state = [tensor.detach().numpy() for tensor in model.state_dict().values()]
    return [*state, np.array(losses, np.float32), np.array(optimizer.steps, np.float32)]


def test_an_optimizer_may_create_its_state_during_capture() -> None:
    set_default_backend("cpu")

    def weights_after_steps(captured: bool) -> list[float]:
        layer = nn.Linear(3, 2, generator=Generator(2))
        optimizer = nn.Adam(layer.parameters(), lr=0.1)
        learns = False

        def step(x: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = (layer(x) ** 2).mean()
            loss.backward()
            if learns:  # False in the first call, before the capture
                optimizer.step()
            return loss.detach()

        learn = capture(step) if captured else step
        for i in range(6):
            learn(from_numpy(np.full((4, 3), i + 1, np.float32)))
            learns = True
        found: list[float] = layer.weight.detach().tolist()
        return found

    assert weights_after_steps(True) == weights_after_steps(False)


def test_replays_use_a_loaded_state() -> None:
    set_default_backend("cpu")
    weight = nn.Linear(2, 1, generator=Generator(2)).weight
    optimizer = nn.SGD([weight], lr=1.0, momentum=0.5)

    @capture
    def step(g: Tensor) -> None:
        weight.grad = g.clone()
        optimizer.step()

    for _ in range(3):
        step(from_numpy(np.ones((1, 2), np.float32)))
    state, before = optimizer.state_dict(), weight.detach().clone()
    state["tensors"] = {"velocity.0": from_numpy(np.full((1, 2), 10, np.float32))}
    optimizer.load_state_dict(state)
    step(from_numpy(np.zeros((1, 2), np.float32)))
    np.testing.assert_allclose(weight.detach().numpy(), before.numpy() - 5, rtol=1e-6)


def test_replays_of_other_layers_and_optimizers() -> None:
    for called, replayed in zip(layers_and_schedule(False), layers_and_schedule(True), strict=True):
        assert np.array_equal(called, replayed)


# The loop


def test_steps(tiny: Dataset) -> None:
    set_default_backend("numpy")
    generator = Generator(0)
    model = make_model("lenet5", generator=generator).eval()
    recipe = Recipe(epochs=2, batch_size=32, lr=0.002, weight_decay=0.0)
    steps = list(Training(model, tiny.train, recipe, generator).steps())
    assert [(step.step, step.epoch) for step in steps] == list(enumerate([1, 1, 1, 1, 2, 2, 2, 2], 1))
    rates = [step.lr for step in steps]
    assert max(rates) <= recipe.lr
    assert rates[0] < max(rates) > rates[-1]
    assert model.training


def batches_shown(monkeypatch: pytest.MonkeyPatch) -> list[npt.NDArray[np.uint8]]:
    """The images of each step from now on, as bytes."""
    shown: list[npt.NDArray[np.uint8]] = []
    plain = normalise

    def spy(images: npt.NDArray[np.uint8], index: Tensor | None = None) -> Any:
        shown.append(images if index is None else images[index.numpy()])
        return plain(images, index=index)

    monkeypatch.setattr("stackgrad.mnist.training.steps.normalise", spy)
    return shown


def test_each_epoch_uses_every_image_once_in_a_new_order(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    set_default_backend("numpy")
    shown = batches_shown(monkeypatch)
    list(Training(make_model("lenet5"), tiny.train, SHORT, Generator(0)).steps())
    assert [len(images) for images in shown] == 2 * [32, 32, 32, 4]
    first, second = (np.concatenate(part) for part in (shown[:4], shown[4:]))
    assert (first != second).any()
    for images in (first, second):
        assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in tiny.train.images)


def test_images_per_second_leave_out_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.chain([0.0, 30.0, 40.0], itertools.count(40.5, 0.5))  # the first two steps compile
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    clock = Clock()
    rates = [clock.tick(64, total_steps=20) for _ in range(20)]
    assert rates == [0.0, 0.0] + [128.0] * 18


@pytest.mark.parametrize("augment", [False, True])
def test_images_are_augmented_if_the_recipe_says_so(
    augment: bool, tiny: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_default_backend("numpy")
    batches = batches_shown(monkeypatch)
    list(Training(make_model("course"), tiny.train, replace(SHORT, augment=augment), Generator(0)).steps())
    shown = [image.tobytes() for images in batches for image in images]
    originals = {image.tobytes() for image in tiny.train.images}
    assert len(set(shown)) == (200 if augment else 100)
    assert originals.isdisjoint(shown) == augment


# The same seed, the same bits


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("name", MODELS)
def test_the_seed_determines_the_weights(name: str, backend: str, tiny: Dataset) -> None:
    first, again, other = (weights(name, tiny, seed, backend) for seed in (2, 2, 3))
    assert first.tobytes() == again.tobytes()
    assert (first != other).mean() > 0.9


@pytest.mark.parametrize("name", ["lenet5", "course"])
def test_numpy_and_cpu_agree(name: str, tiny: Dataset) -> None:
    ours, theirs = (weights(name, tiny, 0, backend) for backend in ("cpu", "numpy"))
    start = np.concatenate([p.detach().numpy().ravel() for p in make_model(name, generator=Generator(0)).parameters()])
    assert np.abs(ours - start).mean() > 1e-3
    assert np.abs(ours - theirs).mean() < 1e-6
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_numpy_and_cpu_agree_on_the_losses_of_a_normalised_model(tiny: Dataset) -> None:
    """Rounding decides whether relu zeroes a value near zero, and normalisation spreads the difference."""
    losses = []
    for backend in ("cpu", "numpy"):
        set_default_backend(backend)
        generator = Generator(0)
        model = make_model("convnet", generator=generator)
        losses.append([step.loss for step in Training(model, tiny.train, SHORT, generator).steps()])
    ours, theirs = losses
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    assert ours == pytest.approx(theirs, rel=1e-2)


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_accuracy_is_that_of_the_batch_before_the_step(backend: str, tiny: Dataset) -> None:
    set_default_backend(backend)
    training = begin("lenet5", tiny, Recipe(4, 30, 0.003, 0.0, schedule="constant"))
    model = training.model.train()
    order = training._batches
    chosen: list[npt.NDArray[np.int64]] = []

    def batches() -> Iterator[npt.NDArray[np.int64]]:
        for index in order():
            output = model(normalise(training.split.images[index])).detach().numpy()
            expected.append(float((output.argmax(axis=1) == training.split.labels[index]).mean()))
            chosen.append(index)
            yield index

    expected: list[float] = []
    training._batches = batches  # type: ignore[method-assign]
    assert [step.accuracy for step in training.steps()] == expected
    assert [len(index) for index in chosen[:4]] == [30, 30, 30, 10]
    assert len(set(expected)) > 3


# Stopping and resuming


def train_on(training: Training, until: int | None = None) -> list[float]:
    """Train to the end, or until a step. Returns the losses."""
    losses = []
    for step in training.steps():
        losses.append(step.loss)
        if step.step == until:
            break
    return losses


def begin(name: str, data: Dataset, recipe: Recipe) -> Training:
    generator = Generator(4)
    return Training(make_model(name, generator=generator), data.train, recipe, generator)


def restored(training: Training, data: Dataset, name: str, path: Path) -> Training:
    """A new training with the state of this one, saved to a file and loaded again."""
    nn.save(path, training.state_dict())
    other = begin(name, data, training.recipe)
    other.load_state_dict(nn.load(path))
    return other


@pytest.mark.parametrize("stop", [1, 4, 5, 8])
@pytest.mark.parametrize(
    ("name", "backend", "change"),
    [
        ("lenet5", "cpu", {}),
        ("course", "cpu", {"patience": 1, "augment": True}),
        ("convnet", "cpu", {"patience": 2, "augment": True}),
        ("course", "numpy", {"patience": 3, "optimizer": "sgd", "schedule": "cosine"}),
        ("course", "numpy", {"optimizer": "adam", "schedule": "constant"}),
    ],
)
def test_a_resumed_training_is_bitwise_equal(
    name: str, backend: str, change: dict[str, Any], stop: int, tiny: Dataset, tmp_path: Path
) -> None:
    set_default_backend(backend)
    recipe = replace(SHORT, epochs=3, **change)
    whole, parts = (begin(name, tiny, recipe) for _ in range(2))
    expected = train_on(whole)
    losses = train_on(parts, stop)
    parts = restored(parts, tiny, name, tmp_path / "state.safetensors")
    assert losses + train_on(parts) == expected
    for each in (whole, parts):
        each.keep_best()
    assert digest(whole.state_dict()) == digest(parts.state_dict())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state["model"].pop("conv1.weight"),
        lambda state: state["model"].update(x=state["model"]["conv1.weight"]),
        lambda state: state.pop("step"),
        lambda state: state.update(optimizer=None),
    ],
)
def test_a_state_that_does_not_fit(spoil: Callable[[Any], object], tiny: Dataset) -> None:
    set_default_backend("numpy")
    training = begin("course", tiny, SHORT)
    train_on(training, 1)
    state = training.state_dict()
    spoil(state)
    with pytest.raises((KeyError, TypeError, ValueError)):
        begin("course", tiny, SHORT).load_state_dict(state)


# Losses that are read rarely


@pytest.mark.parametrize("every", [2, 3, 50])
def test_losses_that_are_read_rarely(every: int, tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    set_default_backend("cpu")

    def losses() -> tuple[list[float], npt.NDArray[np.float32]]:
        training = begin("course", tiny, SHORT)
        found = [step.loss for step in training.steps()]
        return found, np.concatenate([p.detach().numpy().ravel() for p in training.model.parameters()])

    each, weights_by_each = losses()
    monkeypatch.setattr("stackgrad.mnist.training.losses.READ_EVERY", {"cpu": every})
    rare, weights_by_rare = losses()
    assert np.array_equal(weights_by_each, weights_by_rare)
    read = [step for step in range(1, 9) if step in (1, 4, 8) or step % every == 0]  # an epoch has 4 steps
    assert rare == [each[max(last for last in read if last <= step) - 1] for step in range(1, 9)]


# Holding out


def test_held_out_images_are_not_trained_on(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    set_default_backend("numpy")
    training = begin("course", tiny, replace(SHORT, patience=5))
    assert training.held_out is not None
    assert (len(training.split), len(training.held_out)) == (90, 10)
    batches = batches_shown(monkeypatch)
    steps = list(training.steps())
    shown = [image.tobytes() for images in batches for image in images]
    assert len(shown) == 2 * 90
    assert set(shown).isdisjoint(image.tobytes() for image in training.held_out.images)
    seen = [step.validation for step in steps]
    assert [step.step for step, found in zip(steps, seen, strict=True) if found] == [3, 6]


def test_training_stops_without_improvement_and_keeps_the_best(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    set_default_backend("numpy")
    readings = iter([(3.0, 0.1), (1.0, 0.5), (1.5, 0.4), (1.0, 0.6), (0.5, 0.9)])
    monkeypatch.setattr("stackgrad.mnist.training.steps.loss_and_accuracy", lambda *_: next(readings))
    training = begin("course", tiny, replace(SHORT, epochs=9, patience=2))
    weights_after = {}
    for step in training.steps():
        weights_after[step.step] = next(training.model.parameters()).detach().numpy().copy()
    assert max(weights_after) == 4 * training.steps_per_epoch
    assert training.done
    training.keep_best()
    kept = next(training.model.parameters()).detach().numpy()
    assert np.array_equal(kept, weights_after[2 * training.steps_per_epoch])
    assert (training.early.best_epoch, training.early.best_accuracy) == (2, 0.5)


def test_a_nan_loss_on_the_held_out_images(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    set_default_backend("numpy")
    monkeypatch.setattr("stackgrad.mnist.training.steps.loss_and_accuracy", lambda *_: (float("nan"), 0.1))
    training = begin("course", tiny, replace(SHORT, patience=2))
    with pytest.raises(NotFiniteError, match="the loss on the held-out images is nan at step 3, with") as caught:
        list(training.steps())
    assert caught.value.bad_since == 3
