"""Count the instructions of benchmarks in processes under valgrind, with any version of the packages."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from tools.callgrind import Counts, Run, fixed
from tools.growth import LIMIT

from ._pipe import ROOT
from ._values import COUNTED

# More processes than cores, to get a fair share of the cores if other programs use them too.
AT_A_TIME = 8
PARTS = 4  # the largest count of processes for the benchmarks of one set of packages
PART = 32  # the smallest count of benchmarks in each, since a process takes seconds to start under valgrind
WORKER, IMPORTS = ("benchmarks._count_worker", "benchmarks._count_import")
TOGETHER = (("stackgrad.tensor", "stackgrad.nn"), ("stackgrad.kernels", "stackgrad.mnist"))  # imported in one process
KERNELS = ROOT / ".asv" / "counts" / "kernels"


class Counted(NamedTuple):
    """The counts of the benchmarks that ran, and the errors of those that failed."""

    counts: dict[str, Counts]
    errors: dict[str, str]


def entries(environment: Mapping[str, str]) -> dict[str, float]:
    """All names that are counted with the packages that `environment` finds, and by how much each may grow."""
    command = [sys.executable, "-m", WORKER]
    listed = subprocess.run(command, env=variables(environment), cwd=ROOT, stdout=subprocess.PIPE, check=True)
    limits: dict[str, float] = json.loads(listed.stdout)
    return limits | {f"import {package}": LIMIT for package in chain(*TOGETHER)}


def count(wanted: Sequence[tuple[Mapping[str, str], Sequence[str]]], layout: int = 0) -> list[Counted]:
    """For each environment, the counts of the given benchmarks.

    Raises RuntimeError if a process fails, or if kernels had to be compiled under valgrind.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            _Job(i, command, variables(environment))
            for i, (environment, names) in enumerate(wanted)
            for command in _commands(Path(folder) / str(i), names)
        ]
        _compile(jobs)
        counts = _run(jobs, layout)
        errors: list[dict[str, str]] = [{} for _ in wanted]
        for job in jobs:
            if job.command[2] == WORKER:
                report = json.loads(Path(job.command[3]).with_suffix(".report").read_text("utf-8"))
                if report["compiled"]:
                    raise RuntimeError(
                        f"compiled under valgrind, which takes minutes: {', '.join(report['compiled'][:5])}"
                    )
                errors[job.owner] |= report["errors"]
    return [Counted(*both) for both in zip(counts, errors, strict=True)]


class _Job(NamedTuple):
    owner: int  # the index of the environment
    command: list[str]
    variables: dict[str, str]


def _commands(folder: Path, names: Sequence[str]) -> list[list[str]]:
    """The commands that count the names: benchmarks are divided among processes, and imports have their own."""
    folder.mkdir()
    benchmarks = [name for name in names if not name.startswith("import ")]
    commands = []
    parts = min(PARTS, -(-len(benchmarks) // PART))
    for i in range(parts):
        path = folder / f"{i}.json"
        path.write_text(json.dumps(benchmarks[i::parts]), encoding="utf-8")
        commands.append([sys.executable, "-m", WORKER, str(path)])
    for packages in TOGETHER:
        if chosen := [package for package in packages if f"import {package}" in names]:
            commands.append([sys.executable, "-m", IMPORTS, *chosen])
    return commands


def _compile(jobs: Iterable[_Job]) -> None:
    """Run the jobs without valgrind first, so that kernels and bytecode are on disk. Errors show in the second run."""
    first: dict[str, int] = {}
    for job in jobs:
        first.setdefault(_kernel_sources(job.variables), job.owner)
    others = {job.owner for job in jobs} - {*first.values()}
    for owners in (first.values(), others):  # do not compile the same kernels twice at the same time
        processes = [
            subprocess.Popen(
                job.command, env=job.variables, cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
            )
            for job in jobs
            if job.owner in owners
        ]
        for process in processes:
            process.wait()


def _kernel_sources(variables: Mapping[str, str]) -> str:
    """A digest of the sources of the kernels, if the first folder of PYTHONPATH has any."""
    kernels = Path(variables["PYTHONPATH"].split(os.pathsep)[0], "stackgrad", "kernels")
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(kernels.rglob("*.py")))).hexdigest()


def _run(jobs: Sequence[_Job], layout: int) -> list[dict[str, Counts]]:
    waiting, running = list(jobs), list[tuple[int, Run]]()
    counts: list[dict[str, Counts]] = [{} for _ in {job.owner for job in jobs}]
    try:
        while waiting or running:
            while waiting and len(running) < AT_A_TIME:
                job = waiting.pop(0)
                running.append((job.owner, Run(job.command, job.variables, layout=layout)))
            for owner, run in [(owner, run) for owner, run in running if run.ended()]:
                running.remove((owner, run))
                counts[owner] |= run.wait()
            time.sleep(0.05)
    finally:
        for _, run in running:
            run.close()
    return counts


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a process that counts with the packages that `environment` finds."""
    here = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    path = os.pathsep.join(filter(None, (environment.get("PYTHONPATH"), str(ROOT))))
    return fixed({**here, **environment, "PYTHONPATH": path, "STACKGRAD_CACHE_DIR": str(KERNELS), COUNTED: "1"})
