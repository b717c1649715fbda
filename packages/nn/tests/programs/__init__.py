"""PyTorch programs, run with stackgrad by changing only their import lines.

A program is a script that any PyTorch user could have written: `python mlp.py` runs it if PyTorch is installed. It
stores the losses of its steps in `losses`. Weights and data come from NumPy, so that both libraries start from the same
values; programs in RANDOM also draw values during training, which differ between the libraries.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
RANDOM = {"cnn", "mlp", "reinforce", "vae"}

HOMES = {
    "torch.utils.data": "stackgrad.nn.data",
    "torch.optim": "stackgrad.nn.optim",
    "torch.nn": "stackgrad.nn",
    "torch": "stackgrad.tensor",
}
_IMPORT = re.compile(r"^(import|from) (torch[\w.]*)(.*)$", re.MULTILINE)


def with_imports_changed(text: str) -> str:
    """The program's text with stackgrad's modules in its import lines, each still one line."""
    return _IMPORT.sub(lambda line: _changed(*line.groups()), text)


def _changed(word: str, module: str, rest: str) -> str:
    if (word, module) == ("from", "torch"):
        names = re.sub(r"^ import ", "", rest).split(", ")
        return "; ".join(f"from {_home(f'torch.{name}').rpartition('.')[0]} import {name}" for name in names)
    return f"{word} {_home(module)}{rest or f' as {module}'}"


def _home(module: str) -> str:
    torch = next(torch for torch in HOMES if module == torch or module.startswith(f"{torch}."))
    return HOMES[torch] + module.removeprefix(torch)


def run(name: str, torch: bool = False) -> dict[str, Any]:
    """The program's namespace after its run, with stackgrad or with PyTorch."""
    path = FOLDER / f"{name}.py"
    text = path.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text if torch else with_imports_changed(text), str(path), "exec"), namespace)
    return namespace
