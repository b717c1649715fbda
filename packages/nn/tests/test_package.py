"""The package itself."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import stackgrad.tensor as sg
from stackgrad import nn


def test_every_public_name_exists_in_order() -> None:
    assert all(hasattr(nn, name) for name in nn.__all__)
    assert sorted(set(nn.__all__), key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == nn.__all__


def test_import_does_not_import_numba_or_the_kernels() -> None:
    code = "import sys, stackgrad.nn; print([m for m in ('numba', 'stackgrad.kernels', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_example_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    example = "".join(re.findall(r"```python\n(.*?)```", readme, re.DOTALL))
    monkeypatch.chdir(tmp_path)
    exec(example, {"__name__": "readme"})
    assert capsys.readouterr().out == "[0, 1, 1, 0]\n"
    assert nn.load_metadata("xor.safetensors") == {"accuracy": "perfect"}


@pytest.mark.parametrize("module", ["functional", "optim", "optim.lr_scheduler", "distributed", "course"])
def test_the_readme_lists_every_name(module: str) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{module.replace('.', '/')}/?` \| (.*) \|$", readme, re.MULTILINE)
    found = importlib.import_module(f"stackgrad.nn.{module}")
    names = {name for name in found.__all__ if not isinstance(getattr(found, name), ModuleType)}
    assert names - set(re.findall(r"`(\w+)`", row)) == set()


def test_stackgrad_tensor_finds_its_dependents() -> None:
    assert sg.nn is nn
    assert sg.optim is nn.optim
    assert sg.utils.data is nn.data
