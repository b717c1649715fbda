"""Training by two and four ranks, under mpiexec: `nox -s tests-mpi`, which installs an MPI library.

One run per number of ranks executes all cases of `cases.py`, since a start takes a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("cases.py")
DIGESTS = Path(__file__).with_name("digests.py")
NAMES = [
    name
    for file in sorted(CASES.parent.glob("cases_*.py"))
    for name in re.findall(r"^@case\ndef (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
]
RANKS = (2, 4)
LIMIT = 200  # seconds for all cases; a second or two each if every rank has a core


def mpiexec(ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program on several ranks with one thread each."""
    environment = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "STACKGRAD_BACKEND": "numpy"}
    environment["NUMBA_ENABLE_CUDASIM"] = "1"
    bundled = Path(sys.executable).with_name("mpiexec")  # from a wheel
    command = [str(bundled if bundled.exists() else "mpiexec"), "-n", str(ranks), sys.executable, "-m", "mpi4py"]
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )


@pytest.fixture(scope="session", params=RANKS, ids=lambda ranks: f"ranks{ranks}")
def reports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The result of each case, for each rank."""
    folder = tmp_path_factory.mktemp(f"ranks-{request.param}")
    with contextlib.suppress(subprocess.TimeoutExpired):  # the partial reports show which case hung
        mpiexec(request.param, str(CASES), str(folder))
    found = []
    for rank in range(request.param):
        report = folder / f"rank{rank}.txt"
        text = report.read_text(encoding="utf-8") if report.exists() else ""
        found.append(dict(re.findall(r"^=== (\w+)\n(.*?)(?=^=== |\Z)", text, re.MULTILINE | re.DOTALL)))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_case(reports: list[dict[str, str]], name: str) -> None:
    for rank, report in enumerate(reports):
        assert report.get(name, "did not run: an earlier case failed or hangs").strip() == "passed", rank


def test_each_launch_gives_the_same_bits() -> None:
    """With four ranks: with two, the order of a sum cannot matter."""
    first, second = (mpiexec(4, str(DIGESTS)) for _ in range(2))
    assert first.stderr == ""
    assert len(set(first.stdout.split())) == 4
    assert second.stdout == first.stdout
