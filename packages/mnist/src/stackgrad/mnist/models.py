"""The three models, and the normalisation of their input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stackgrad import nn
from stackgrad.tensor import Backend, Generator, Tensor, each_time, from_numpy, get_backend

from .data.datasets import IMAGE_SHAPE

# Mean and standard deviation of the pixels of MNIST's training images, from 0 to 1.
MEAN, STD = 0.1307, 0.3081


def normalise(
    images: NDArray[np.uint8], backend: str | Backend | None = None, index: NDArray[np.int64] | Tensor | None = None
) -> Tensor:
    """Convert uint8 images (n, 28, 28) to float32 (n, 1, 28, 28), scaled so that MNIST has mean 0 and variance 1.

    With `index`, int64 (m,), the images of these indices alone. If that is a tensor, on the backend `cpu` or `numpy`,
    the result is on its backend, and the replay of a captured function reads the images that it names then. Raises
    ValueError for another dtype, shape or backend, and IndexError for an index that is too large.
    """
    if images.dtype != np.uint8 or images.shape[1:] != IMAGE_SHAPE:
        raise ValueError(f"images must be uint8 (n, 28, 28), not {images.dtype} {images.shape}")
    factor, shift = 1 / (255 * STD), -MEAN / STD
    backend = index.backend if isinstance(index, Tensor) else get_backend(backend)
    if backend.name == "numpy":
        some = index.numpy() if isinstance(index, Tensor) else index
        values = ((images if some is None else images[some]) * factor + shift).astype(np.float32)
        return from_numpy(values[:, None], backend=backend)
    from stackgrad.kernels import scaled_bytes  # imported here, since it loads llvmlite

    if isinstance(index, Tensor):
        return scaled_bytes(images, index, factor, shift).unsqueeze(1)
    values = scaled_bytes(images, np.arange(len(images)) if index is None else index, factor, shift)
    return from_numpy(values[:, None], backend=backend)


class LeNet5(nn.Module):
    """The classic network, with ReLU and max pooling: images (n, 1, 28, 28) to logits (n, classes).

    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
    Proceedings of the IEEE 86 (1998), https://doi.org/10.1109/5.726791.
    """

    def __init__(self, classes: int = 10, generator: Generator | None = None) -> None:
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2, generator=generator, activation="relu"),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5, generator=generator, activation="relu"),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(400, 120, generator=generator, activation="relu"),
            nn.Linear(120, 84, generator=generator, activation="relu"),
            nn.Linear(84, classes, generator=generator),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy of logits (n, classes) and labels (n,)."""
        return nn.cross_entropy(output, target)


class Course(nn.Module):
    """The network of the minitorch course's last module: images (n, 1, 28, 28) to log-probabilities (n, classes).

    `mid` and `out` hold the activations (n, 4, 28, 28) and (n, 8, 28, 28) of the last batch, for inspection.
    """

    def __init__(self, classes: int = 10, generator: Generator | None = None) -> None:
        self.conv1 = nn.Conv2d(1, 4, 3, padding=1, generator=generator, activation="relu")
        self.conv2 = nn.Conv2d(4, 8, 3, padding=1, generator=generator, activation="relu")
        self.linear1 = nn.Linear(392, 64, generator=generator, activation="relu")
        self.dropout = nn.Dropout(0.25, generator=generator)
        self.linear2 = nn.Linear(64, classes, generator=generator)
        self.mid: Tensor | None = None
        self.out: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        mid = self.conv1(x)
        out = self.conv2(mid)

        kept = mid.detach(), out.detach()

        def keep() -> None:
            self.mid, self.out = kept

        each_time(keep, ahead=True)
        hidden = self.dropout(self.linear1(nn.avg_pool2d(out, 4).flatten(1)))
        return nn.log_softmax(self.linear2(hidden), 1)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean negative log-likelihood of log-probabilities (n, classes) and labels (n,)."""
        return nn.nll_loss(output, target)


class ConvNet(nn.Module):
    """Five convolutions, each with batch normalisation: images (n, 1, 28, 28) to logits (n, classes).

    S. Ioffe and C. Szegedy, "Batch normalization" (https://arxiv.org/abs/1502.03167). Global average pooling instead of
    large linear layers comes from M. Lin, Q. Chen and S. Yan, "Network in network" (https://arxiv.org/abs/1312.4400).
    """

    def __init__(self, classes: int = 10, generator: Generator | None = None) -> None:
        def convolution(inputs: int, outputs: int, kernel: int) -> tuple[nn.Module, nn.Module]:
            conv = nn.Conv2d(inputs, outputs, kernel, padding="same", bias=False, generator=generator)
            return conv, nn.BatchNorm2d(outputs, activation="relu")

        self.features = nn.Sequential(
            *convolution(1, 16, 5),
            nn.MaxPool2d(2),
            *convolution(16, 32, 3),
            *convolution(32, 32, 3),
            nn.MaxPool2d(2),
            *convolution(32, 64, 3),
            *convolution(64, 64, 3),
        )
        self.classifier = nn.Sequential(
            nn.AvgPool2d(7),
            nn.Flatten(),
            nn.Linear(64, classes, generator=generator),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Mean cross-entropy of logits (n, classes) and labels (n,)."""
        return nn.cross_entropy(output, target)


Model = LeNet5 | Course | ConvNet
"""Any of the models."""

MODELS: dict[str, Callable[..., Model]] = {"lenet5": LeNet5, "course": Course, "convnet": ConvNet}


def make_model(name: str, classes: int = 10, generator: Generator | None = None) -> Model:
    """Create the model called `name`, a key of `MODELS`. Raises ValueError for any other name."""
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}: expected one of {', '.join(MODELS)}")
    return MODELS[name](classes, generator)
