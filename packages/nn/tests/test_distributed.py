"""A world of one, which needs no MPI; several ranks are tested in `mpi/`."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import stackgrad.tensor as sg
from stackgrad import nn
from stackgrad.nn import distributed
from stackgrad.nn.distributed._averaging import _Pass
from stackgrad.nn.distributed._aware import is_cuda_aware

LAUNCHED = "import os, sys; os.environ['PMI_RANK'] = '0'; sys.modules['mpi4py'] = None; "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_import_and_a_world_of_one_do_not_import_mpi4py() -> None:
    code = "import sys; from stackgrad.nn.distributed import world; print(world(), 'mpi4py' in sys.modules)"
    assert run(code).stdout == "World(rank=0, size=1, local_rank=0, local_size=1, comm=None) False\n"


def test_under_a_launcher_without_mpi4py_an_error_names_the_extra() -> None:
    found = run(LAUNCHED + "from stackgrad.nn import distributed; distributed.world()")
    assert "ImportError: an MPI launcher has started this program, but mpi4py does not load: pip" in found.stderr
    assert "'stackgrad-nn[mpi]'" in found.stderr


def train(wrap: Callable[[nn.Optimizer], nn.Optimizer], backend: str, captured: bool) -> str:
    sg.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 2)).to(backend)
    optimizer = wrap(nn.Adam(model.parameters(), 0.01))
    schedule = nn.Cosine(optimizer, 20)
    source = np.random.default_rng(0)
    x = sg.tensor(source.standard_normal((30, 4)).astype(np.float32), backend=backend)
    y = sg.tensor(source.integers(0, 2, 30), backend=backend)

    def step(x: sg.Tensor, y: sg.Tensor) -> None:
        optimizer.zero_grad()
        loss = nn.cross_entropy(model(x), y)
        if isinstance(optimizer, distributed.DistributedOptimizer):
            optimizer.backward(loss, len(x))
        else:
            loss.backward()
        optimizer.step()

    learn = sg.capture(step) if captured else step
    for index in distributed.batches(30, 8, sg.Generator(1)):
        learn(x[index], y[index])
        schedule.step()
    return distributed.digest({"model": model.state_dict(), "optimizer": optimizer.state_dict()})


@pytest.mark.parametrize(("backend", "captured"), [("numpy", False), ("cpu", False), ("cpu", True)])
def test_a_world_of_one_trains_to_the_bits_of_the_optimizer_inside(backend: str, captured: bool) -> None:
    found = train(distributed.DistributedOptimizer, backend, captured)
    assert found == train(lambda optimizer: optimizer, backend, captured)


def test_a_step_with_a_closure() -> None:
    layer = nn.Linear(2, 1)
    optimizer = distributed.DistributedOptimizer(nn.SGD(layer.parameters(), 0.1))

    def closure() -> Any:
        loss = layer(sg.ones(3, 2)).mean()
        optimizer.backward(loss, 3)
        return loss

    before = layer.weight.tolist()
    assert optimizer.step(closure).shape == ()
    assert layer.weight.tolist() != before


def test_what_one_rank_has_is_what_all_have(tmp_path: Path) -> None:
    layer = nn.Linear(2, 1)
    distributed.broadcast(layer, sg.Generator(1))
    distributed.expect_same("the layer", layer)
    distributed.agree("the version", "1")
    assert distributed.gather(3) == [3]
    assert distributed.total({"a": 1, "b": 0.5}) == {"a": 1, "b": 0.5}
    assert (distributed.mean(2.5, 4), distributed.by_first(lambda: 7)) == (2.5, 7)
    assert np.isnan(distributed.mean(2.5, 0))
    distributed.save(tmp_path / "layer.safetensors", layer)
    assert distributed.digest(nn.load(tmp_path / "layer.safetensors")) == distributed.digest(layer)
    batch = distributed.convert_sync_batchnorm(nn.BatchNorm1d(2))
    assert batch(sg.rand(4, 2)).mean().item() == pytest.approx(0, abs=1e-6)


def test_a_digest_is_of_names_shapes_and_bits() -> None:
    a = sg.zeros(2, 3)
    digests = {
        distributed.digest(state)
        for state in ({"a": a}, {"b": a}, {"a": a.reshape(3, 2)}, {"a": a.double()}, {"a": -a}, {"a": a, "n": 1})
    }
    assert len(digests) == 6
    assert distributed.digest({"a": a}) == distributed.digest({"a": sg.zeros(2, 3, backend="cpu")})


def test_without_a_launcher_nothing_is_watched(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="of ours"), distributed.watch():
        raise ValueError("of ours")
    distributed.end("a reason", 1)
    assert capsys.readouterr().err == "a reason\n"


class Stand:
    """Replaces a bucket in flight, and records what it starts."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log, self.segments_are_there = name, log, False

    def start(self) -> None:
        self.log.append(f"{self.name} starts")

    def poll(self) -> bool:
        if self.segments_are_there and f"{self.name} hands on" not in self.log:
            self.log.append(f"{self.name} hands on")
        return self.segments_are_there


def test_buckets_start_when_all_ranks_have_called_and_hand_on_in_order() -> None:
    log: list[str] = []
    a, b = flights = [Stand("a", log), Stand("b", log)]
    called = False
    going: Any = object.__new__(_Pass)
    vars(going).update(_flights=[*flights, None], _started=0, _call=SimpleNamespace(is_there=lambda: called))
    going._advance(1)
    assert log == []
    called = True
    going._advance(2)
    assert log == ["a starts", "b starts"]
    b.segments_are_there = True  # before those of the first, as it may be on one rank alone
    going._advance(2)
    assert log == ["a starts", "b starts"]
    a.segments_are_there = True
    going._advance(2)
    assert log == ["a starts", "b starts", "a hands on", "b hands on"]


def no_library(path: str) -> Any:
    raise OSError(path)


YES = SimpleNamespace(MPIX_Query_cuda_support=lambda: 1)
NO = SimpleNamespace(MPIX_Query_cuda_support=lambda: 0)


@pytest.mark.parametrize(
    ("vendor", "load", "expected"),
    [
        (("MPICH", (5, 0, 2)), lambda path: YES, True),
        (("MPICH", (5, 0, 2)), lambda path: NO, False),
        (("MPICH", (3, 4, 0)), lambda path: SimpleNamespace(), False),
        (("Open MPI", (5, 0, 0)), lambda path: YES, True),
        (("Open MPI", (4, 1, 8)), lambda path: YES, False),  # where it was built for CUDA, and may be switched off
        (("Microsoft MPI", (10, 1, 0)), no_library, False),
    ],
)
def test_whether_mpi_reads_the_memory_of_gpus(
    monkeypatch: pytest.MonkeyPatch, vendor: Any, load: Callable[[str], Any], expected: bool
) -> None:
    mpi = SimpleNamespace(__file__="MPI.so", get_vendor=lambda: vendor)
    monkeypatch.setitem(sys.modules, "mpi4py", SimpleNamespace(MPI=mpi))
    monkeypatch.setattr(ctypes, "CDLL", load)
    assert is_cuda_aware.__wrapped__() is expected
