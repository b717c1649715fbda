import itertools
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from stackgrad import nn
from stackgrad.mnist import MODELS, Dataset, Split, make_model, normalise, train
from stackgrad.mnist.evaluate import count_right
from stackgrad.mnist.train import RECIPES, NotFiniteError, Recipe, Step, train_steps
from stackgrad.tensor import Generator, Tensor, capture, from_numpy, set_default_backend

Cli = Callable[..., subprocess.CompletedProcess[str]]

KEYS = [
    *("model", "classes", "backend", "seed", "epochs", "batch_size", "parameters", "test_accuracy"),
    *("images_per_second", "seconds_to_first_step", "seconds_total", "peak_memory_mb", "versions", "arguments"),
]
SHORT = Recipe(epochs=2, batch_size=32, lr=0.003, weight_decay=0.01)


def run(
    data: Dataset, folder: Path, name: str = "lenet5", seed: int = 0, recipe: Recipe = SHORT, backend: str = "cpu"
) -> dict[str, Any]:
    """Train into a new folder; what is in its summary.json."""
    set_default_backend(backend)
    folder.mkdir()
    train.train(name, data, recipe, seed, folder, {"mark": name})
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())
    return summary


def weights(name: str, data: Dataset, seed: int, backend: str) -> npt.NDArray[np.float32]:
    """All weights after a short training."""
    set_default_backend(backend)
    generator = Generator(seed)
    model = make_model(name, generator=generator)
    for _ in train_steps(model, data.train, SHORT, generator):
        pass
    return np.concatenate([parameter.detach().numpy().ravel() for parameter in model.parameters()])


# The step that is replayed


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_replayed_step_is_the_same_as_a_called_one(name: str, tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = weights(name, tiny, 3, "cpu")
    monkeypatch.setattr(train, "capture", lambda step: step)
    assert np.array_equal(replayed, weights(name, tiny, 3, "cpu"))


def layers_and_schedule(captured: bool) -> list[npt.NDArray[np.float32]]:
    """What the layers and optimizers that the two models do without have made after some steps."""
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


def test_what_an_optimizer_keeps_may_be_made_while_it_is_recorded() -> None:
    set_default_backend("cpu")

    def weights_after_steps(captured: bool) -> list[float]:
        layer = nn.Linear(3, 2, generator=Generator(2))
        optimizer = nn.Adam(layer.parameters(), lr=0.1)
        calls = 0

        def step(x: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            optimizer.zero_grad()
            loss = (layer(x) ** 2).mean()
            loss.backward()
            if calls > 1:  # not yet when the function is called to warm up
                optimizer.step()
            return loss.detach()

        learn = capture(step) if captured else step
        for i in range(6):
            learn(from_numpy(np.full((4, 3), i + 1, np.float32)))
        found: list[float] = layer.weight.detach().tolist()
        return found

    assert weights_after_steps(True) == weights_after_steps(False)


def test_a_state_that_is_loaded_counts_in_replays() -> None:
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


def test_other_layers_and_optimizers_are_replayed_too() -> None:
    for called, replayed in zip(layers_and_schedule(False), layers_and_schedule(True), strict=True):
        assert np.array_equal(called, replayed)


# What is written


@pytest.mark.parametrize(("name", "parameters"), [("lenet5", 61_706), ("course", 26_138)])
def test_summary(name: str, parameters: int, tiny: Dataset, tmp_path: Path) -> None:
    summary = run(tiny, tmp_path / "run", name, seed=5)
    assert list(summary) == KEYS
    assert {key: type(value) for key, value in summary.items()} == {
        **dict.fromkeys(("model", "backend"), str),
        **dict.fromkeys(("classes", "seed", "epochs", "batch_size", "parameters"), int),
        **dict.fromkeys(("test_accuracy", "images_per_second"), float),
        **dict.fromkeys(("seconds_to_first_step", "seconds_total", "peak_memory_mb"), float),
        **dict.fromkeys(("versions", "arguments"), dict),
    }
    assert summary["model"] == name
    assert (summary["backend"], summary["seed"], summary["classes"]) == ("cpu", 5, 10)
    assert (summary["epochs"], summary["batch_size"], summary["parameters"]) == (2, 32, parameters)
    assert summary["arguments"] == {"mark": name}
    assert 0 < summary["test_accuracy"] < 1
    assert summary["images_per_second"] > 0
    assert 0 < summary["seconds_to_first_step"] < summary["seconds_total"]
    assert 30 < summary["peak_memory_mb"] < 10_000


def test_versions(tiny: Dataset, tmp_path: Path) -> None:
    versions = run(tiny, tmp_path / "run", backend="numpy")["versions"]
    packages = ("stackgrad-tensor", "stackgrad-kernels", "stackgrad-nn", "stackgrad-mnist", "numpy", "numba")
    assert list(versions) == ["python", *packages]
    assert versions["numpy"] == np.__version__
    assert all(version[0].isdigit() for version in versions.values())


def test_metrics(mnist: Dataset, tiny: Dataset, tmp_path: Path) -> None:
    data = Dataset(Split(mnist.train.images[:240], mnist.train.labels[:240]), tiny.test, "MNIST")
    recipe = replace(SHORT, batch_size=4)
    summary = run(data, tmp_path / "run", recipe=recipe, backend="numpy")
    *steps, last = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 50, 100]
    assert [step["epoch"] for step in steps] == [1, 1, 2]
    for step in steps:
        assert list(step) == ["step", "epoch", "loss", "lr", "images_per_second"]
        assert all(np.isfinite(value) for value in step.values())
        assert 0 < step["lr"] <= recipe.lr
    assert steps[0]["loss"] > steps[-1]["loss"] > 0
    assert last == {"step": 120, "test_accuracy": summary["test_accuracy"]}


def test_the_saved_weights_are_the_ones_that_were_measured(tiny: Dataset, tmp_path: Path) -> None:
    summary = run(tiny, tmp_path / "run", backend="numpy")
    model = make_model("lenet5")
    model.load_state_dict(nn.load(tmp_path / "run/model.safetensors"))
    assert summary["test_accuracy"] == count_right(model, tiny.test) / len(tiny.test)


def test_classes_are_those_of_the_data(tiny: Dataset, tmp_path: Path) -> None:
    letters = [Split(split.images, split.labels + np.uint8(17)) for split in (tiny.train, tiny.test)]
    summary = run(Dataset(letters[0], letters[1], "letters"), tmp_path / "run", backend="numpy")
    assert summary["classes"] == 27
    assert summary["parameters"] == 61_706 + 17 * 85


# The loop


def test_steps(tiny: Dataset) -> None:
    set_default_backend("numpy")
    generator = Generator(0)
    model = make_model("lenet5", generator=generator).eval()
    recipe = Recipe(epochs=2, batch_size=32, lr=0.002, weight_decay=0.0)
    steps = list(train_steps(model, tiny.train, recipe, generator))
    assert [(step.step, step.epoch) for step in steps] == list(enumerate([1, 1, 1, 1, 2, 2, 2, 2], 1))
    rates = [step.lr for step in steps]
    assert max(rates) <= recipe.lr
    assert rates[0] < max(rates) > rates[-1]
    assert model.training


def test_each_epoch_shows_every_image_once_in_another_order(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    set_default_backend("numpy")
    shown: list[npt.NDArray[np.uint8]] = []
    plain = normalise

    def spy(images: npt.NDArray[np.uint8]) -> Any:
        shown.append(images)
        return plain(images)

    monkeypatch.setattr(train, "normalise", spy)
    list(train_steps(make_model("lenet5"), tiny.train, SHORT, Generator(0)))
    assert [len(images) for images in shown] == 2 * [32, 32, 32, 4]
    first, second = (np.concatenate(part) for part in (shown[:4], shown[4:]))
    assert (first != second).any()
    for images in (first, second):
        assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in tiny.train.images)


def test_images_per_second_leave_out_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.chain([0.0, 30.0, 40.0], itertools.count(40.5, 0.5))  # the first two steps compile
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    clock = train.Clock()
    rates = [clock.tick(64, total_steps=20) for _ in range(20)]
    assert rates == [0.0, 0.0] + [128.0] * 18


def test_on_step_sees_every_step(tiny: Dataset, tmp_path: Path) -> None:
    set_default_backend("numpy")
    steps: list[Step] = []
    train.train("course", tiny, SHORT, 0, tmp_path, {}, steps.append)
    assert [step.step for step in steps] == list(range(1, 9))


@pytest.mark.parametrize("name", MODELS)
def test_recipes(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.epochs >= 1
    assert recipe.batch_size >= 1
    assert 0 < recipe.lr < 1


# The same seed, the same bits


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_the_weights(name: str, backend: str, tiny: Dataset) -> None:
    first, again, other = (weights(name, tiny, seed, backend) for seed in (2, 2, 3))
    assert first.tobytes() == again.tobytes()
    assert (first != other).mean() > 0.9


@pytest.mark.parametrize("name", MODELS)
def test_numpy_and_cpu_agree(name: str, tiny: Dataset) -> None:
    ours, theirs = (weights(name, tiny, 0, backend) for backend in ("cpu", "numpy"))
    start = np.concatenate([p.detach().numpy().ravel() for p in make_model(name, generator=Generator(0)).parameters()])
    assert np.abs(ours - start).mean() > 1e-3
    assert np.abs(ours - theirs).mean() < 1e-6
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_one_thread_and_two_give_the_same_bits(name: str, folder: Path, cli: Cli, cli_process: Cli) -> None:
    arguments = ("train", "--model", name, "--data", folder, "--epochs", 2, "--seed", 9, "--backend", "cpu", "--out")
    outs = ["here", "one", "two"]
    assert cli(*arguments, outs[0]).returncode == 0
    for out, threads in zip(outs[1:], "12", strict=True):
        result = cli_process(*arguments, out, NUMBA_NUM_THREADS=threads)
        assert (result.returncode, result.stderr) == (0, "")
    assert len({Path(out, "model.safetensors").read_bytes() for out in outs}) == 1
    assert len({json.loads(Path(out, "summary.json").read_text())["test_accuracy"] for out in outs}) == 1


# What goes wrong


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_a_loss_that_is_no_number(backend: str, tiny: Dataset, tmp_path: Path) -> None:
    message = r"the loss is (nan|inf) at step \d+, with learning rate \S+: try a lower --lr"
    with pytest.raises(NotFiniteError, match=message):
        run(tiny, tmp_path / "run", recipe=replace(SHORT, lr=1e10), backend=backend)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["metrics.jsonl"]


def test_weights_that_are_no_numbers(tiny: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The loss is that of before the step; nobody sees it after the last one.
    set_default_backend("numpy")
    steps = train.train_steps

    def spoil(model: Any, *arguments: Any) -> Any:
        yield from steps(model, *arguments)
        next(model.parameters()).detach()[0] = np.nan

    monkeypatch.setattr(train, "train_steps", spoil)
    with pytest.raises(NotFiniteError, match="the last step made some weights infinite or NaN: try a lower --lr"):
        train.train("lenet5", tiny, SHORT, 0, tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


# Time


def test_time_counts_from_the_start_of_the_process(folder: Path, cli_process: Cli) -> None:
    arguments = ("train", "--data", folder, "--limit", 20, "--epochs", 1, "--backend", "numpy", "--out", "run")
    before = time.perf_counter()
    result = cli_process(*arguments, STARTUP_SECONDS="1.5")
    whole = time.perf_counter() - before
    assert (result.returncode, result.stderr) == (0, "")
    summary = json.loads(Path("run/summary.json").read_text())
    assert 1.5 < summary["seconds_to_first_step"] < summary["seconds_total"] < whole + 0.02
