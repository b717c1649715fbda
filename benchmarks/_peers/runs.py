"""Whole processes: the first training step, and the time and memory of the default training run, ours and PyTorch's.

`python -m benchmarks._peers.runs` is PyTorch's run: three epochs of LeNet as in `stackgrad-mnist train`.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._pipe import ROOT

EPOCHS, BATCH, RATE, DECAY = 3, 64, 0.004, 0.05  # the recipe of `stackgrad-mnist train`
COMMAND = (sys.executable, "-c", "from stackgrad.mnist.cli import main; main()", "train")


def ours(*arguments: str, cache: str | None = None) -> dict[str, Any]:
    """The summary of `stackgrad-mnist train`, with `seconds_process` measured from outside."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2", **({"STACKGRAD_CACHE_DIR": cache} if cache else {})}
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run(
            [*COMMAND, *arguments, "--out", folder], env=environment, check=True, capture_output=True, cwd=ROOT
        )
        seconds = time.perf_counter() - start
        summary: dict[str, Any] = json.loads((Path(folder) / "summary.json").read_text(encoding="utf-8"))
    return {**summary, "seconds_process": seconds}


def first_steps() -> tuple[float, float]:
    """Seconds from the start of the process to the end of the first step, with and without cached kernels."""
    short = ("--limit", "1280", "--epochs", "1")
    with tempfile.TemporaryDirectory() as folder:
        cold = ours(*short, cache=folder)["seconds_to_first_step"]
        warm = min(ours(*short, cache=folder)["seconds_to_first_step"] for _ in range(3))
    return warm, cold


def pytorch() -> dict[str, Any]:
    """The same run with PyTorch."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks._peers.runs"], env=environment, check=True, capture_output=True, cwd=ROOT
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return {**result, "seconds_process": time.perf_counter() - start}


def _idx(name: str, header: int) -> NDArray[np.uint8]:
    """The contents of a file that ships with stackgrad.mnist, read without importing the package."""
    spec = importlib.util.find_spec("stackgrad.mnist")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = Path(spec.submodule_search_locations[0]) / "files" / f"{name}-ubyte.gz"
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def _peak_megabytes() -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def run_pytorch() -> None:
    """Train LeNet with PyTorch, and print the result for `pytorch`."""
    import torch

    from .pytorch import MEAN, STD, lenet5

    torch.set_num_threads(2)
    torch.manual_seed(0)
    split: dict[str, Any] = {}
    for part in ("train", "t10k"):
        images = torch.from_numpy(_idx(f"{part}-images-idx3", 16).copy()).reshape(-1, 28, 28)
        split[part] = images, torch.from_numpy(_idx(f"{part}-labels-idx1", 8).astype(np.int64))
    images, labels = split["train"]
    model = lenet5()
    steps = EPOCHS * -(-len(images) // BATCH)
    adam = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, steps, cycle_momentum=False)

    def normalised(x: Any) -> Any:
        return x.unsqueeze(1).float().div_(255).sub_(MEAN).div_(STD)

    for _ in range(EPOCHS):
        for index in torch.randperm(len(images)).split(BATCH):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(model(normalised(images[index])), labels[index]).backward()
            adam.step()
            schedule.step()
    images, labels = split["t10k"]
    with torch.inference_mode():
        correct = sum(
            int((model(normalised(images[i : i + 256])).argmax(1) == labels[i : i + 256]).sum())
            for i in range(0, len(images), 256)
        )
    print(json.dumps({"test_accuracy": correct / len(images), "peak_memory_mb": _peak_megabytes()}))


if __name__ == "__main__":
    run_pytorch()
