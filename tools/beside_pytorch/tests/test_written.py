"""The programs from nn's tests, where they run with changed imports: here both libraries give the same losses."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
spec = importlib.util.spec_from_file_location("programs", ROOT / "packages/nn/tests/programs/__init__.py")
assert spec is not None
assert spec.loader is not None
programs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(programs)


@pytest.mark.parametrize("name", [name for name in programs.NAMES if name not in programs.RANDOM])
def test_same_losses(name: str) -> None:
    theirs, ours = programs.run(name, torch=True)["losses"], programs.run(name)["losses"]

    assert len(theirs) == len(ours)
    np.testing.assert_allclose(ours[:10], theirs[:10], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours, theirs, rtol=0.02, atol=1e-3)  # rounding grows: our two backends differ as much


@pytest.mark.parametrize("name", sorted(programs.RANDOM))
def test_random_programs_run_in_pytorch(name: str) -> None:
    assert np.isfinite(programs.run(name, torch=True)["losses"]).all()
