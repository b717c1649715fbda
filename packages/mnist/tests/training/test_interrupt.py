import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stackgrad.mnist.training.interrupt import requests_to_stop

Cli = Any
SIGNALS = [signal.SIGINT, signal.SIGTERM]
STOPPING = "stopping after this step; interrupt again to stop at once\n"


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_is_recorded(signum: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with requests_to_stop() as request:
        assert request.signum is None
        os.kill(os.getpid(), signum)
        assert request.signum == signum
    assert [signal.getsignal(each) for each in SIGNALS] == before
    assert capfd.readouterr().err == STOPPING


@pytest.mark.parametrize("closed", [True, False])
def test_a_signal_when_standard_error_fails(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, text: bytes) -> None:
        assert not closed
        raise OSError(28, "No space left on device")

    if closed:
        monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setattr(os, "write", full)
    with requests_to_stop() as request:
        os.kill(os.getpid(), signal.SIGINT)
        assert request.signum == signal.SIGINT


def test_other_threads_set_no_handlers(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def look() -> None:
        with requests_to_stop() as request:
            seen.append((request.signum, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [(None, before)]


@contextmanager
def training(folder: Path, *more: str, slow: bool = False) -> Iterator[subprocess.Popen[str]]:
    """A process that has started a long training on NumPy, or with `slow`, one with a slow second step."""
    code = "from stackgrad.mnist.training import steps as training\nfrom stackgrad.mnist.cli import main\n"
    if slow:
        code += "import time\nplain = training.normalise\n"
        code += "training.normalise = lambda *images, **index: (time.sleep(2), plain(*images, **index))[1]\n"
    arguments = ("train", "--data", str(folder), "--epochs", "100000", "--backend", "numpy", "--out", "run", *more)
    command = [sys.executable, "-W", "error", "-c", code + "main()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        metrics = Path("run/metrics.jsonl")
        while process.poll() is None and not (metrics.exists() and metrics.read_text()):
            time.sleep(0.02)
        yield process
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("signum", SIGNALS)
def test_after_a_signal_the_step_ends_and_is_saved(signum: signal.Signals, folder: Path, cli: Cli) -> None:
    with training(folder) as process:
        process.send_signal(signum)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert out.count("\n") == 1
    step = int(sorted(Path("run/checkpoints").iterdir())[-1].stem.removeprefix("step-"))
    assert step >= 1
    stopped = f"stopped after step {step:,} of 200,000; resume with `stackgrad-mnist train --resume run`\n"
    assert err == STOPPING + stopped


def test_a_second_signal_ends_at_once(folder: Path) -> None:
    with training(folder, slow=True) as process:
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - before < 1.5
    assert (process.returncode, err) == (130, STOPPING + "Error: interrupted\n")
    assert [path.name for path in Path("run/checkpoints").iterdir()] == ["step-00000000.safetensors"]
