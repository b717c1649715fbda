"""Instructions are counted where valgrind is installed, and the counts are the same each time."""

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import callgrind
from tools.callgrind import Counts, missing, run, totals

FILE = Path(callgrind.__file__)
HEADER = "version: 1\nevents: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw\nsummary: {}\n\nfn=(1) f\n"
needs_valgrind = pytest.mark.skipif(missing() is not None, reason=str(missing()))

# The loop must not allocate: an integer above 256 takes 4 instructions more or less, depending on the heap, 2 % of such
# a loop.
COUNTED = """
import sys
from itertools import repeat
import numpy
sys.path.insert(0, {folder!r})
import callgrind

def loop(times):
    for _ in repeat(None, times):
        pass

square = numpy.ones((256, 256))
callgrind.count({{
    "once": lambda: loop(2_000),
    "thrice": lambda: loop(6_000),
    "rows": lambda: square.sum(1),
    "a column each time": lambda: [square[:, i].sum() for i in range(0, 256, 8)],
    "a row each time": lambda: [square[i].sum() for i in range(0, 256, 8)],
}})
"""


def test_totals_of_a_dump() -> None:
    text = HEADER.format("900 300 200 1 50 7 0 5 2")
    assert totals(text) == Counts(instructions=900, first_level=57, last_level=7)


def test_counts_without_caches() -> None:
    assert totals("events: Ir\nsummary: 12\n") == Counts(12, 0, 0)


@pytest.mark.parametrize("wrapped", ["18446744073709551500 300 200", "-12 300 200", "900 300 200 1 -3 7 0 5 2"])
def test_a_count_that_wrapped_around_is_not_valid(wrapped: str) -> None:
    assert totals(HEADER.format(wrapped)) is None


@pytest.mark.parametrize("text", ["", "events: Ir\n", "summary: 3\n"])
def test_a_dump_without_a_count(text: str) -> None:
    with pytest.raises(ValueError, match="no line 'summary' after a line 'events'"):
        totals(text)


def test_without_valgrind_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert missing() == "there is no valgrind: apt-get install valgrind"
    with pytest.raises(RuntimeError, match="apt-get install valgrind"):
        run(["true"])


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("win32", "AMD64"), ("linux", "aarch64")])
def test_machines_with_other_client_requests(monkeypatch: pytest.MonkeyPatch, system: str, machine: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert f"not {system} on {machine}" in str(missing())


def test_the_file_imports_only_the_standard_library() -> None:
    imported = re.findall(r"^(?:from|import) (\w+)", FILE.read_text(encoding="utf-8").split('"""', 2)[2], re.MULTILINE)
    assert set(imported) <= sys.stdlib_module_names


def test_outside_valgrind_each_is_called_once() -> None:
    calls: list[int] = []
    callgrind.count({"a": lambda: calls.append(1), "b": lambda: calls.append(2)})
    assert calls == [1, 2]


@needs_valgrind
def test_counts_follow_the_work_and_agree_between_processes(tmp_path: Path) -> None:
    script = tmp_path / "counted.py"
    script.write_text(COUNTED.format(folder=str(FILE.parent)), encoding="utf-8")
    first, second = (run([sys.executable, str(script)], layout=layout) for layout in (0, 1))
    assert first["thrice"].instructions / first["once"].instructions == pytest.approx(3, rel=0.1)
    assert first["once"].instructions > 4_000  # at least two per iteration
    for name, counts in first.items():
        assert second[name].instructions == pytest.approx(counts.instructions, rel=0.01)
    # The 32 columns touch every cache line of the array; the 32 rows touch an eighth of them.
    assert first["a column each time"].first_level > 3 * first["a row each time"].first_level


@needs_valgrind
def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"exit status 1\n(.*\n)*ZeroDivisionError"):
        run([sys.executable, "-c", "1 / 0"])
    with pytest.raises(RuntimeError, match="nothing was counted"):
        run([sys.executable, "-c", ""])


@needs_valgrind
def test_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(FILE, tmp_path)
    for name, body in re.findall(r"^    # (\w+\.py)\n((?:    .*\n|\n)+?)(?=    # \w+\.py|\S)", callgrind.__doc__, re.M):
        (tmp_path / name).write_text(re.sub("^    ", "", body, flags=re.MULTILINE), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_counted.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
    asv = "import bench_counted as b; c = b.Counted(); print(c.track_instructions(c.setup_cache(), 'total') > 1000)"
    ran = subprocess.run([sys.executable, "-c", asv], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout == "True\n", ran.stderr
