"""Kill or stop a rank of trainings under MPI at random times, and resume them; compare with an undisturbed one.

    python -m tools.kill_a_rank --faults 20 --ranks 2 -- --model course --epochs 2

Arguments after `--` go to `stackgrad-mnist train`. A fault hits a random rank at a uniformly random time from 0 to
`--within` seconds, so that it may hit the start, training, writing and the end. Faults alternate between SIGKILL and
SIGSTOP. The status is 1 unless each job ends within 10 seconds with a status other than 0, a line that names the rank
and no process left, and the weights of the resumed runs are the same. If a rank is killed in the first second, while
Python is loading, only the launcher reports it.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.kill_and_resume import last_step, weights

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}") or "mpiexec"
PROGRAM = (sys.executable, "-m", "mpi4py", "-m", "stackgrad.mnist", "train")
WITHIN = 10.0  # seconds within which a job must end


def ranks_of(mpiexec: int) -> dict[int, int]:
    """The processes of the ranks that a launcher has started on this machine."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: dict[int, int] = {}
    for pid, parent in parents.items():
        if parents.get(parent) == mpiexec:  # the launcher's proxy is between them
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            found |= {int(v.partition(b"=")[2]): pid for v in variables if v.startswith(b"PMI_RANK=")}
    return found


def train(ranks: int, arguments: list[str], wait: float, rank: int, fault: signal.Signals) -> bool:
    """Train, and send a signal to a rank after `wait` seconds. Returns whether the job had not ended before."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        job = subprocess.Popen([MPIEXEC, "-n", str(ranks), *PROGRAM, *arguments], stdout=output, stderr=output)
        while time.monotonic() < start + wait or len(ranks_of(job.pid)) < ranks:
            if job.poll() is not None:
                output.seek(0)
                return expect_success(job.returncode, output.read())
            time.sleep(0.02)
        processes = ranks_of(job.pid)
        try:
            os.kill(processes[rank], fault)
        except (KeyError, ProcessLookupError):  # it has just ended
            job.wait()
            return False
        struck = time.monotonic()
        try:
            status = job.wait(WITHIN)
        except subprocess.TimeoutExpired:
            job.kill()
            sys.exit(f"{fault.name} to rank {rank}: the job has not ended after {WITHIN:g} s")
        output.seek(0)
        text = output.read()
    lines = [line for line in text.splitlines() if line.startswith("Error: ")]
    if not lines and fault == signal.SIGKILL and "BAD TERMINATION" in text:
        lines = [f"Error: rank {rank} was killed before its watcher had started, so only the launcher reports it"]
    took, left = time.monotonic() - struck, [pid for pid in processes.values() if Path(f"/proc/{pid}").exists()]
    if status == 0 and fault == signal.SIGKILL:
        return False  # the job had finished
    if status == 0 or len(lines) != 1 or not lines[0].startswith(f"Error: rank {rank} ") or left:
        sys.exit(f"{fault.name} to rank {rank}: status {status}, processes left {left}, output {lines}")
    print(f"{fault.name} after {wait:.2f} s: ended after {took:.1f} s: {lines[0]}", flush=True)
    return True


def expect_success(status: int, output: str) -> bool:
    """Exit unless an undisturbed job succeeded. Returns False."""
    if status:
        sys.exit(f"a training ended with status {status}: {output}")
    return False


def main() -> None:
    """Train once undisturbed, then with faults until there are enough, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--within", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    draw, faults, runs = random.Random(options.seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        subprocess.run(
            [MPIEXEC, "-n", str(options.ranks), *PROGRAM, *options.arguments, "--out", str(whole)], check=True
        )
        while faults < options.faults:
            run, runs = Path(folder, f"run {runs}"), runs + 1
            while not (run / "summary.json").exists():
                again = ["--resume", str(run)] if last_step(run) >= 0 else [*options.arguments, "--out", str(run)]
                wait = draw.uniform(0, options.within) if faults < options.faults else 3600
                fault = (signal.SIGKILL, signal.SIGSTOP)[faults % 2]
                faults += train(options.ranks, again, wait, draw.randrange(options.ranks), fault)
            same = weights(run) == weights(whole)
            print(f"{run.name}: {faults} faults so far; {'the same weights' if same else 'OTHER WEIGHTS'}", flush=True)
            if not same:
                sys.exit(1)
    print(f"{faults} faults in {runs} runs: each job ended in time and named the rank, and all weights are the same")


if __name__ == "__main__":
    main()
