"""The command line of tools/gpu_check.py; the tests of the cuda backend test its parts."""

from pathlib import Path

import pytest

from tools import gpu_check
from tools.gpu_check import PAGE, PARTS, parse_arguments


@pytest.fixture(autouse=True)
def _no_simulator(monkeypatch):
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)


@pytest.mark.parametrize(
    ("given", "out"),
    [
        ([], PAGE),
        (["--only", *reversed(PARTS)], PAGE),
        (["--examples", "2"], PAGE),
        (["--only", "cases"], None),
        (["--dry-run"], None),
        (["--dry-run", "--out", "page.md"], Path("page.md")),
        (["--only", "cases", "--out", "page.md"], Path("page.md")),
    ],
)
def test_only_a_whole_run_on_a_gpu_writes_the_projects_page(given, out):
    assert parse_arguments(given).out == out
    assert PAGE.parent.is_dir()


def test_help_is_the_whole_docstring(capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(["--help"])
    assert ended.value.code == 0
    assert gpu_check.__doc__ in capsys.readouterr().out


def error(given, capsys):
    with pytest.raises(SystemExit) as ended:
        parse_arguments(given)
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_the_simulator_is_for_dry_runs(monkeypatch, capsys):
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    text = "NUMBA_ENABLE_CUDASIM selects Numba's simulator: unset it to check a GPU, or use --dry-run\n"
    assert error(["--only", "cases"], capsys) == text
    assert parse_arguments(["--dry-run"]).dry_run


def test_examples_are_at_least_one(capsys):
    assert parse_arguments(["--examples", "1"]).examples == 1
    assert "--examples 0: expected 1 or more\n" in error(["--examples", "0"], capsys)


def test_results_need_an_existing_folder(tmp_path, capsys):
    out = tmp_path / "absent" / "gpu.md"
    assert f"--out {out}: there is no folder {tmp_path / 'absent'}\n" in error(["--out", str(out)], capsys)
