"""The width of registers depends on the CPU, and no bit of a result depends on the width."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from stackgrad.kernels.cpu import _width

WIDTHS = Path(__file__).with_name("widths.py")
AVX512 = "+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl"


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (f"+avx2,{AVX512},+fma", 64),
        (f"{AVX512},-avx512vnni", 64),
        ("", 32),
        ("+avx,+avx2,+fma", 32),
        ("+avx512f,+avx512cd", 32),
        (AVX512.replace("+avx512vl", "-avx512vl"), 32),
    ],
)
def test_the_width_follows_from_the_features(features, expected):
    assert _width._wide_bytes(features) == expected


def test_the_cpu_is_the_host_unless_numba_is_told_another(monkeypatch):
    for name in ("NAME", "FEATURES"):
        monkeypatch.delenv(f"NUMBA_CPU_{name}", raising=False)
    host = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
    assert _width.cpu() == host
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx2")
    assert _width.cpu() == (host[0], "+avx2")
    monkeypatch.setenv("NUMBA_CPU_NAME", "haswell")
    assert _width.cpu() == ("haswell", "+avx2")
    monkeypatch.delenv("NUMBA_CPU_FEATURES")
    assert _width.cpu() == ("haswell", host[1])
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert _width.cpu() == ("generic", "")


def _digests(**variables: str):
    """The width and the digests of a process with these variables."""
    run = subprocess.run(
        [sys.executable, WIDTHS], env=os.environ | variables, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


@pytest.mark.skipif(not _width.IS_WIDE, reason="there is only one width on this CPU")
def test_no_bit_depends_on_the_width():
    without = (
        f"-{name[1:]}" if "avx512" in name else name for name in binding.get_host_cpu_features().flatten().split(",")
    )
    (wide, expected), (narrow, found) = _digests(), _digests(NUMBA_CPU_FEATURES=",".join(without))
    assert (wide, narrow) == (64, 32)
    assert found == expected
