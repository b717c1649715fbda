"""Twenty programs as PyTorch users write them: with their imports changed, each learns its task.

`nox -s tests-torch` compares the losses of each step with PyTorch's.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from .programs import NAMES, run, with_imports_changed

Program = dict[str, Any]

CHECKS: dict[str, Callable[[Program], bool]] = {
    "attention": lambda p: p["losses"][-1] < 0.05 and p["accuracy"] > 0.98,
    "autoencoder": lambda p: p["losses"][-1] < 0.06 and p["codes"].shape == (256, 4),
    "cnn": lambda p: p["accuracy"] > 0.9 and abs(max(p["rates"]) - 0.1) < 1e-3,
    "dqn": lambda p: p["greedy"] == 6,
    "ema": lambda p: p["losses"][-1] < 0.15 and p["errors"]["model"] < 0.06 and int(p["ema_model"].n_averaged) == 60,
    "gru_language_model": lambda p: p["losses"][-1] < 0.2 and p["sample"].startswith("the quick"),
    "kmeans": lambda p: p["purity"] == 1,
    "lr_finder": lambda p: 0.05 < p["lr"] < 1 and p["accuracy"] > 0.95,
    "lstm": lambda p: p["losses"][-1] < 0.2 and p["mae"] < 0.3,
    "maml": lambda p: np.mean(p["after"]) < np.mean(p["before"]) / 2,
    "matrix_factorization": lambda p: p["losses"][-1] < 0.1 and p["accuracy"] > 0.85,
    "mixture_density": lambda p: p["losses"][-1] < 1.6 and p["samples"].shape == (500, 1),
    "mlp": lambda p: p["accuracy"] > 0.95,
    "reinforce": lambda p: np.mean(p["lengths"][-10:]) < np.mean(p["lengths"][:10]) / 2,
    "siamese": lambda p: p["losses"][-1] < 0.5 and p["accuracy"] > 0.9,
    "style_transfer": lambda p: p["losses"][-1] < p["losses"][0] and p["input_img"].max() <= 1,
    "transformer_encoder": lambda p: p["losses"][-1] < 0.9 and p["accuracy"] > 0.75,
    "unet": lambda p: p["iou"] > 0.5,
    "vae": lambda p: p["losses"][-1] < p["losses"][0] / 2 and p["sample"].shape == (64, 16),
    "wgan_gp": lambda p: p["penalties"][-1] < p["penalties"][0],
}


def test_every_program_has_a_check() -> None:
    assert sorted(CHECKS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_program_learns_after_its_imports_change(name: str) -> None:
    program = run(name)

    assert np.isfinite(program["losses"]).all()
    assert CHECKS[name](program)


@pytest.mark.parametrize(
    ("written", "run"),
    [
        ("import torch", "import stackgrad.tensor as torch"),
        ("import torch.nn.functional as F", "import stackgrad.nn.functional as F"),
        ("import torch.autograd as autograd", "import stackgrad.tensor.autograd as autograd"),
        ("from torch.optim.lr_scheduler import StepLR", "from stackgrad.nn.optim.lr_scheduler import StepLR"),
        ("from torch.utils.data import DataLoader", "from stackgrad.nn.data import DataLoader"),
        ("from torch import nn, Tensor", "from stackgrad import nn; from stackgrad.tensor import Tensor"),
    ],
)
def test_import_lines(written: str, run: str) -> None:
    assert with_imports_changed(written) == run
