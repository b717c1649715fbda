import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("out", [(), ("--out", "x.onnx")])
def test_export(out: tuple[str, ...], trained_course: Path, cli: Cli) -> None:
    result = cli("export", trained_course, *out)
    path = Path("x.onnx") if out else trained_course / "model.onnx"
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(rf"{path}: course for ONNX, opset 17, [\d,]+ bytes\n", result.stdout)
    assert onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "images"
    path.unlink()


def test_failures(trained_course: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    result = cli("export", "away")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    result = cli("export", trained_course, "--out", "away/x.onnx")
    assert (result.returncode, result.stderr) == (1, "Error: away/x.onnx: No such file or directory\n")
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = cli("export", trained_course)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "pip install 'stackgrad-mnist[export]'" in result.stderr
