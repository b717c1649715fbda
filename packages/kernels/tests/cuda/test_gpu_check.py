"""The script for machines with a GPU, in the simulator: all its parts run, and nothing is measured."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[4] / "tools/gpu_check.py"


def test_a_dry_run(tmp_path):
    command = [sys.executable, str(SCRIPT), "--dry-run", "--out", str(tmp_path / "gpu.md")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    failed = [
        line for line in page.splitlines() if "**failed**" in line and "has no kernel on backend 'cuda' yet" not in line
    ]
    assert [line for line in failed if not line.startswith("| table of cases")] == [], done.stdout + done.stderr
    assert page.startswith(
        "# The cuda backend on Numba's simulator\n\nBy `tools/gpu_check.py`, a dry run, which measures"
    )
    assert "| compute-sanitizer racecheck | not tried | there is no GPU in a dry run |" in page
    assert "| softmax of rows, 4e+01 numbers, GB/s |  |  | copy |  | 0.80 |  |" in page
    assert done.returncode == ("**failed**" in page)
