from pathlib import Path

import numpy as np
import pytest

from stackgrad.mnist import MODELS, Dataset, Split, make_model, normalise
from stackgrad.mnist.runs.folder import load_run
from stackgrad.mnist.training.evaluate import BATCH, count_confusions, count_correct, probabilities
from stackgrad.tensor import set_default_backend


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", ["cpu", "numpy"])
def test_probabilities(name: str, backend: str, mnist: Dataset) -> None:
    set_default_backend(backend)
    model, images = make_model(name), mnist.test.images[:7]
    got = probabilities(model, images)
    assert got.shape == (7, 10)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    # The definition of softmax, for logits and for log-probabilities.
    powers = np.exp(model(normalise(images)).detach().numpy().astype(np.float64))
    np.testing.assert_allclose(got, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5)


def test_probabilities_are_computed_in_eval_mode(mnist: Dataset) -> None:
    model = make_model("course").train()
    first, second = (probabilities(model, mnist.test.images[:3]) for _ in range(2))
    np.testing.assert_array_equal(first, second)  # no dropout
    assert not model.training


def test_probabilities_do_not_depend_on_the_batch(mnist: Dataset) -> None:
    set_default_backend("numpy")
    model, images = make_model("lenet5"), mnist.test.images[: BATCH + 1]
    together = probabilities(model, images)
    assert together.shape == (BATCH + 1, 10)
    np.testing.assert_allclose(together[-1], probabilities(model, images[-1:])[0], rtol=1e-4)


def test_the_model_stays_on_its_backend(mnist: Dataset) -> None:
    set_default_backend("numpy")
    model = make_model("lenet5")
    set_default_backend("cpu")
    assert probabilities(model, mnist.test.images[:2]).shape == (2, 10)


def test_wrong_images() -> None:
    with pytest.raises(ValueError, match=r"images must be uint8 \(n, 28, 28\), not float64 \(2, 28, 28\)"):
        probabilities(make_model("lenet5"), np.zeros((2, 28, 28)))  # type: ignore[arg-type]


def test_count_correct(trained: Path, mnist: Dataset) -> None:
    set_default_backend("numpy")
    model = load_run(trained).model
    images, labels = mnist.test.images[:300], mnist.test.labels[:300]
    correct = count_correct(model, Split(images, labels))
    assert 240 < correct < 300
    guesses = probabilities(model, images).argmax(axis=1).astype(np.uint8)
    assert count_correct(model, Split(images, guesses)) == 300
    assert count_correct(model, Split(images, (guesses + 1) % 10)) == 0
    assert correct == int((guesses == labels).sum())


def test_count_confusions() -> None:
    generator = np.random.default_rng(1)
    labels, guesses = generator.integers(0, 7, 300).astype(np.uint8), generator.integers(0, 7, 300)
    counts = count_confusions(labels, guesses, 8)
    assert counts.shape == (8, 8)
    for true, guess in np.ndindex(8, 8):
        assert counts[true, guess] == sum(pair == (true, guess) for pair in zip(labels, guesses, strict=True))


def test_count_confusions_of_256_classes() -> None:
    counts = count_confusions(np.array([255, 0], np.uint8), np.array([254, 0]), 256)
    assert (counts[255, 254], counts[0, 0], counts.sum()) == (1, 1, 2)
