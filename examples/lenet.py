"""LeNet on MNIST, from the images to the accuracy: `python examples/lenet.py`; `--call` trains without `capture`."""

import sys
import time

import stackgrad.nn as nn
import stackgrad.tensor as sg
from stackgrad.mnist import load, normalise

EPOCHS, BATCH, RATE = 3, 64, 0.004
data = load()  # uint8 images (60,000, 28, 28) to train on and 10,000 to test with, and their labels
sg.manual_seed(0)
model = nn.Sequential(  # after LeCun et al., "Gradient-based learning applied to document recognition", 1998
    *(nn.Conv2d(1, 6, 5, padding=2, activation="relu"), nn.MaxPool2d(2)),  # (batch, 1, 28, 28) to (batch, 6, 14, 14)
    *(nn.Conv2d(6, 16, 5, activation="relu"), nn.MaxPool2d(2), nn.Flatten()),  # to (batch, 16, 5, 5) to (batch, 400)
    *(nn.Linear(400, 120, activation="relu"), nn.Linear(120, 84, activation="relu"), nn.Linear(84, 10)),
)
optimizer = nn.AdamW(model.parameters(), RATE, weight_decay=0.05)
schedule = nn.OneCycle(optimizer, RATE, EPOCHS * -(-len(data.train) // BATCH))


def step(images: sg.Tensor, labels: sg.Tensor) -> sg.Tensor:
    """Train on a batch. Returns the mean loss."""
    optimizer.zero_grad()
    loss = nn.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    schedule.step()
    return loss.detach()


# At this batch size, Python takes a third of the time. `capture` records its kernels once and launches all in one call.
train = step if "--call" in sys.argv else sg.capture(step)
for epoch in range(EPOCHS):
    start = time.perf_counter()
    for index in nn.batches(len(data.train), BATCH):
        loss = train(normalise(data.train.images[index]), sg.tensor(data.train.labels[index], dtype=sg.int64))
    speed = len(data.train) / (time.perf_counter() - start)
    print(f"epoch {epoch + 1}: loss of the last batch {loss.item():.3f}, {speed:,.0f} images per second")

with sg.no_grad():
    accuracy = (model(normalise(data.test.images)).argmax(1).numpy() == data.test.labels).mean()
print(f"test accuracy {accuracy:.2%}")
