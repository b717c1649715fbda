"""The script for machines with a GPU, run in the simulator: all its parts run, and nothing is measured."""

import os
import subprocess
import sys
from argparse import Namespace
from datetime import date
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from stackgrad.kernels.cuda import _installed

SCRIPT = Path(__file__).resolve().parents[4] / "tools/gpu_check.py"
PAGE = SCRIPT.parents[1] / "docs/gpu.md"


def test_a_dry_run():
    """It prints its results and does not change the project's page."""
    before = PAGE.exists() and PAGE.read_text(encoding="utf-8")
    done = subprocess.run([sys.executable, str(SCRIPT), "--dry-run"], capture_output=True, text=True, check=False)
    assert (PAGE.exists() and PAGE.read_text(encoding="utf-8")) == before
    page = done.stdout[done.stdout.index("# The cuda backend on") :]
    failed = [
        line for line in page.splitlines() if "**failed**" in line and "has no kernel on backend 'cuda' yet" not in line
    ]
    assert [line for line in failed if not line.startswith("| table of cases")] == [], done.stdout + done.stderr
    assert page.startswith(
        "# The cuda backend on Numba's simulator\n\nBy `tools/gpu_check.py`, a dry run, which measures"
    )
    assert "| compute-sanitizer racecheck | not tried | there is no GPU in a dry run |" in page
    assert "| softmax of rows, 4e+01 values, GB/s |  |  | copy |  | 0.80 |  |" in page
    assert done.returncode == ("**failed**" in page)


# A Python in which platformdirs is not installed.
WITHOUT_PLATFORMDIRS = f"""
import runpy, sys
from importlib.machinery import PathFinder

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        installed = name == "platformdirs" and path is None
        return super().find_spec(name, [p for p in sys.path if "-packages" not in p] if installed else path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
"""


def test_without_platformdirs(tmp_path):
    command = [sys.executable, "-c", WITHOUT_PLATFORMDIRS, "--dry-run", "--only", "sanitizer"]
    command += ["--out", str(tmp_path / "gpu.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "compute-sanitizer memcheck" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


@pytest.fixture
def tools(monkeypatch):
    """The modules of the script by name."""
    monkeypatch.syspath_prepend(str(SCRIPT.parents[1]))
    return lambda name: import_module(f"tools.{name}")


class FailingCase:
    """A case of the table that fails; `after` is called before."""

    kind = "values"

    def __init__(self, name, after=lambda: None):
        self.name, self.after = name, after

    def __str__(self):
        return self.name

    def check(self, backend, draw):
        self.after()
        raise ValueError("wrong")


def test_cases_stop_when_the_device_no_longer_answers(tools, monkeypatch):
    cases = tools("_gpu.cases")
    backend = cases.get_backend("cuda")

    def die():
        monkeypatch.setattr(backend, "full", None)

    monkeypatch.setattr(cases, "CASES", [FailingCase("a"), FailingCase("b", die), FailingCase("c")])
    report = tools("_gpu.report").Report("a device", True, date(2026, 1, 2), "Python 3")
    cases.run_cases(report, Namespace(dry_run=False, examples=1))
    assert [(check.what, check.found) for check in report.checks] == [
        ("case a", "example 0: ValueError: wrong"),
        ("case b", "example 0: ValueError: wrong"),
        ("device", "stopped working after case b: the later cases were not tried"),
        ("table of cases", "0 of 3 equal to NumPy within tolerance"),
    ]


def test_a_part_that_raises_is_reported(tools, monkeypatch):
    process, sent = tools("_gpu.process"), []

    def training(report, arguments):
        report.check("a step", True, "done")
        raise RuntimeError("no more room")

    monkeypatch.setitem(sys.modules, "tools._gpu.runs", SimpleNamespace(RUNS={"training": training}))
    monkeypatch.setattr(tools("_gpu.surroundings"), "make_importable", lambda root: None)
    process.do_part("training", Namespace(), sent.append)
    assert [(check.what, check.good, check.found) for check in sent] == [
        ("a step", True, "done"),
        ("training", False, "RuntimeError: no more room"),
    ]


def test_a_part_in_its_process(tools):
    (result,) = tools("_gpu.process").results_of("no such part", Namespace(dry_run=True))
    assert (result.good, result.found) == (False, "KeyError: 'no such part'")


def test_a_part_whose_process_dies(tools, monkeypatch):
    process = tools("_gpu.process")
    monkeypatch.setattr(process, "do_part", os._exit)  # it takes one argument, so it raises
    (result,) = process.results_of("cases", Namespace(dry_run=True))
    assert (result.what, result.good, result.found) == ("cases", False, "its process ended with exit code 1")


def test_a_silent_part_is_stopped(tools, monkeypatch):
    process = tools("_gpu.process")
    monkeypatch.setattr(process, "SILENCE", 0)
    (result,) = process.results_of("cases", Namespace(dry_run=True))
    assert (result.what, result.good, result.found) == ("cases", False, "stopped after 0 minutes without a result")


def test_results_are_written_as_they_come(tools, monkeypatch, tmp_path):
    script, out = tools("gpu_check"), tmp_path / "gpu.md"
    check, written = tools("_gpu.report").Check, []

    def results_of(part, arguments):
        yield check(part, part == "speed", "first")
        written.append(out.read_text(encoding="utf-8"))
        yield check(part, True, "second")

    monkeypatch.setattr(tools("_gpu.process"), "results_of", results_of)
    monkeypatch.setattr(tools("_gpu.surroundings"), "make_importable", lambda root: None)
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")  # --dry-run sets it; this limits it to the test
    assert script.main(["--dry-run", "--only", "training", "speed", "--out", str(out)]) == 1
    assert written[0].endswith("| training | **failed** | first |\n")
    assert written[1].endswith("| training | good | second |\n| speed | good | first |\n")


def test_a_single_part_runs_in_the_process_of_the_sanitizer(tools, monkeypatch, tmp_path):
    processes = []

    def cases(report, arguments):
        processes.append(os.getpid())
        report.check("cases", True, "equal")

    monkeypatch.setitem(sys.modules, "tools._gpu.runs", SimpleNamespace(RUNS={"cases": cases}))
    monkeypatch.setattr(tools("_gpu.surroundings"), "make_importable", lambda root: None)
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert tools("gpu_check").main(["--dry-run", "--only", "cases", "--out", str(tmp_path / "gpu.md")]) == 0
    assert processes == [os.getpid()]
    assert "| cases | good | equal |" in (tmp_path / "gpu.md").read_text(encoding="utf-8")


class Sanitizer:
    """The result of a run of compute-sanitizer, with that exit code and summary."""

    def __init__(self, returncode, summary):
        self.returncode, self.stdout, self.stderr = returncode, f"========= {summary}\n", ""


@pytest.mark.parametrize(
    ("code", "summary", "good"),
    [
        (0, "ERROR SUMMARY: 0 errors", True),
        (1, "ERROR SUMMARY: 0 errors", True),
        (9, "ERROR SUMMARY: 2 errors", False),
        (139, "no more", False),
    ],
)
def test_the_report_of_the_sanitizer(tools, monkeypatch, code, summary, good):
    cases, commands = tools("_gpu.cases"), []

    def run(command, **options):
        commands.append(command)
        return Sanitizer(code, summary)

    monkeypatch.setattr(cases.shutil, "which", lambda name: name)
    monkeypatch.setattr(cases.subprocess, "run", run)
    report = tools("_gpu.report").Report("a device", False, date(2026, 1, 2), "Python 3")
    cases.run_sanitizer(report, Namespace(dry_run=False))
    assert [(check.good, check.found) for check in report.checks] == [
        (good, summary if code < 10 else "no summary")
    ] * 2
    assert commands[0][:5] == ["compute-sanitizer", "--tool", "memcheck", "--report-api-errors", "no"]
    assert commands[1][:4] == ["compute-sanitizer", "--tool", "racecheck", "--error-exitcode"]


class Copies:
    """A library that copies memory that it is lent."""

    def from_dlpack(self, lent):
        return lent.numpy().copy()

    from_interface = from_dlpack

    def read(self, array):
        return [float(array[0]), float(array[-1])]


def test_a_library_that_copies_is_found_out(tools):
    exchange = tools("_gpu.exchange")
    exchange.share(exchange._NumPy())
    with pytest.raises(AssertionError, match=r"our write to the lent array: read \[1.0, 1.0\], expected \[2, 2\]"):
        exchange.share(Copies())


def test_without_a_gpu_it_names_what_can_be_installed_from_the_checkout(tools, monkeypatch, capsys):
    script = tools("gpu_check")
    monkeypatch.setattr(tools("_gpu.surroundings"), "make_importable", lambda root: None)
    monkeypatch.setattr("stackgrad.kernels.cuda.what_is_missing", lambda: f"found a driver: {_installed.INSTALL}")
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    assert script.main([]) == 2
    assert capsys.readouterr().err == (
        "no GPU to check: found a driver: pip install './packages/kernels[cuda13]' './packages/tensor' "
        "(driver 580 or newer for [cuda13], 575 or newer for [cuda12])\n"
    )
