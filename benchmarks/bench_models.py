"""Training steps, optimizer steps and inference of the networks, and the peak size of the buffer pool in training."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable
from functools import partial

from stackgrad import nn
from stackgrad.kernels.cpu import _memory
from stackgrad.mnist import MODELS
from stackgrad.tensor import Tensor, no_grad

from ._operands import normal
from ._steps import images, labels, model_on, training_step
from ._suite import BACKENDS, Work, precompiled, timed, tracked

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], nn.Optimizer]] = {
    "SGD": lambda params: nn.SGD(params, lr=0.01),
    "SGD with momentum": lambda params: nn.SGD(params, lr=0.01, momentum=0.9),
    "Adam": lambda params: nn.Adam(params, lr=0.001),
    "AdamW": lambda params: nn.AdamW(params, lr=0.001),
}
BATCHES = (16, 64, 256)
setup_cache = precompiled(__name__)


@timed(model=[*MODELS], batch=BATCHES, how=("eager", "captured"))
def time_train_step(model: str, batch: int, how: str) -> Work:
    """Forward, backward and AdamW on ready float32 batches, on cpu; captured as `stackgrad-mnist train` does."""
    step = partial(training_step(model_on(model), how == "captured"), images(batch), labels(batch))
    for _ in range(3):  # a captured step is replayed from the third call on
        step()
    return step


@timed(model=[*MODELS])
def time_train_step_numpy(model: str) -> Work:
    """The same at batch 16 on the NumPy backend."""
    return partial(training_step(model_on(model, "numpy"), captured=False), images(16, "numpy"), labels(16, "numpy"))


@timed(model=[*MODELS], batch=(1, *BATCHES), backend=BACKENDS)
def time_inference(model: str, batch: int, backend: str) -> Work:
    """Logits of ready float32 images."""
    network = model_on(model, backend).eval()
    return partial(no_grad()(network), images(batch, backend))


@timed(optimizer=[*OPTIMIZERS], backend=BACKENDS)
def time_optimizer_step(optimizer: str, backend: str) -> Work:
    """Over LeNet's ten parameters."""
    params = list(model_on("lenet5", backend).parameters())
    for i, parameter in enumerate(params):
        parameter.grad = normal(*parameter.shape, backend=backend, seed=i)
    return OPTIMIZERS[optimizer](params).step


@tracked("bytes", model=[*MODELS], batch=BATCHES, how=("eager", "captured"))
def track_pool_bytes(model: str, batch: int, how: str) -> float:
    """The most bytes that the buffer pool had lent out at any moment of four training steps."""
    pool = _memory.pool
    if not hasattr(pool, "most_used"):  # commits before the pool counted
        return math.nan
    step = training_step(model_on(model), how == "captured")
    batch_images, target = images(batch), labels(batch)
    gc.collect()
    pool.most_used = pool.used
    for _ in range(4):
        step(batch_images, target)
    return float(pool.most_used)
