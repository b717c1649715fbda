"""The model of examples/gpt.py, with our library, or with PyTorch by changing its imports."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._pipe import ROOT

BATCHES, STEPS = 16, 50  # the batches that training repeats, and the steps whose losses are compared
IMPORTS = {"stackgrad.nn.functional": "torch.nn.functional", "stackgrad.nn": "torch.nn", "stackgrad.tensor": "torch"}


def example(pytorch: bool = False) -> Any:
    """The names that the example defines."""
    path = ROOT / "examples" / "gpt.py"
    text = path.read_text(encoding="utf-8")
    for ours, theirs in IMPORTS.items():
        text = text.replace(f"import {ours} as", f"import {theirs} as") if pytorch else text
    names: dict[str, Any] = {"__name__": "gpt"}
    exec(compile(text, path, "exec"), names)
    return SimpleNamespace(**names)


def batches(gpt: Any) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Windows of the example's text, and the characters that follow each of theirs."""
    _, windows = gpt.read()
    chosen = np.random.default_rng(0).integers(len(windows), size=(BATCHES, gpt.BATCH))
    return [(windows[index, :-1].copy(), windows[index, 1:].copy()) for index in chosen]


def model(gpt: Any) -> Any:
    """The example's model."""
    characters, _ = gpt.read()
    return gpt.GPT(len(characters), gpt.LAYERS, gpt.WIDTH, gpt.HEADS, gpt.CONTEXT)


def losses(step: Callable[[], Any]) -> list[NDArray[Any]]:
    """The losses of the first steps."""
    return [np.array([step().item() for _ in range(STEPS)])]
