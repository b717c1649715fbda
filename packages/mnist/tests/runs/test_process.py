import resource
import subprocess
import sys
import time

import pytest

from stackgrad.mnist.runs import process


def test_seconds_since_start() -> None:
    code = "import time; time.sleep(1); from stackgrad.mnist.runs import process; print(process.seconds_since_start())"
    before = time.perf_counter()
    seconds = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 1 < seconds < time.perf_counter() - before + 0.02  # the system counts in hundredths of a second


def test_seconds_increase() -> None:
    first = process.seconds_since_start()
    time.sleep(0.2)
    assert process.seconds_since_start() - first + 0.01 >= 0.2


def test_seconds_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = process.seconds_since_start()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert 0 < process.seconds_since_start() < exact + 0.5


def test_peak_memory() -> None:
    code = "from stackgrad.mnist.runs import process; a = b'1' * 150_000_000; del a; print(process.peak_memory_mb())"
    megabytes = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 150 < megabytes < 450


def test_peak_memory_does_not_include_the_program_before() -> None:
    # The peak of getrusage survives exec.
    then = "from stackgrad.mnist.runs import process; print(process.peak_memory_mb())"
    code = f"import os, sys; a = b'1' * 300_000_000; os.execv(sys.executable, [sys.executable, '-c', {then!r}])"
    megabytes = float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert 10 < megabytes < 250


@pytest.mark.parametrize(("platform", "unit"), [("darwin", 1e6), ("freebsd14", 1e6 / 1024)])
def test_peak_memory_on_other_systems(platform: str, unit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert process.peak_memory_mb() == pytest.approx(peak / unit, rel=0.01)


def test_peak_memory_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert process.peak_memory_mb() == 0
