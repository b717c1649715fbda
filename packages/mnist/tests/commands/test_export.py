import re
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

Cli = Any


@pytest.mark.parametrize("out", [(), ("--out", "x.onnx")])
def test_export(out: tuple[str, ...], trained_course: Path, cli: Cli) -> None:
    printed = cli("export", trained_course, *out).good()
    path = Path("x.onnx") if out else trained_course / "model.onnx"
    assert re.fullmatch(rf"{path}: course for ONNX, opset 17, [\d,]+ bytes\n", printed)
    assert onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "images"
    path.unlink()


def test_failures(trained_course: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("export", "away").error() == "away: no such folder; expected one that `stackgrad-mnist train` made"
    message = cli("export", trained_course, "--out", "away/x.onnx").error(status=1)
    assert message == "away/x.onnx: No such file or directory"
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = cli("export", trained_course).error(status=1)
    assert message == "export needs the package onnx: pip install 'stackgrad-mnist[export]'"
