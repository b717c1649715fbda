"""All parts together: networks that learn."""

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn


def test_xor() -> None:
    generator = sg.Generator(0)
    model = nn.Sequential(nn.Linear(2, 8, generator=generator), nn.Tanh(), nn.Linear(8, 2, generator=generator))
    x = sg.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    target = sg.tensor([0, 1, 1, 0])
    optimizer = nn.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
    assert model(x).argmax(1).tolist() == [0, 1, 1, 0]
    assert loss.item() < 0.1


def bars(n: int, seed: int) -> tuple[sg.Tensor, sg.Tensor]:
    """Noisy 8x8 images of one bright bar, vertical (class 0) or horizontal (class 1)."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.3, (n, 1, 8, 8)).astype(np.float32)
    target = rng.integers(0, 2, n)
    for i, position in enumerate(rng.integers(0, 8, n)):
        images[(i, 0, slice(None), position) if target[i] == 0 else (i, 0, position)] += 1
    return sg.tensor(images), sg.tensor(target)


def train(seed: int) -> nn.Module:
    sg.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(64, 2),
    )
    images, target = bars(256, 1)
    optimizer = nn.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    schedule = nn.OneCycle(optimizer, 0.1, total_steps=3 * 8)
    for _ in range(3):
        for batch in nn.batches(256, 32):
            rows = sg.tensor(batch)
            optimizer.zero_grad()
            nn.cross_entropy(model(images[rows]), target[rows]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    return train(0)


def test_a_small_convolutional_network_generalises(trained: nn.Module) -> None:
    images, target = bars(200, 2)
    with sg.no_grad():
        right = (trained(images).argmax(1) == target).astype(sg.float32).mean()
    assert float(right) > 0.95


def test_the_same_seed_gives_the_same_weights(trained: nn.Module) -> None:
    for (name, a), (_, b) in zip(trained.state_dict().items(), train(0).state_dict().items(), strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), name
