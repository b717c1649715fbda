"""End a rank of trainings under MPI at random moments and resume them; compare with one that was left alone.

    python -m tools.kill_a_rank --faults 20 --ranks 2 -- --model course --epochs 2

What stands behind `--` goes to `stackgrad-mnist train`. A fault meets a random rank at a time drawn evenly from 0 to
`--within` seconds, so that the start, training, writing and the end are all hit: SIGKILL and SIGSTOP alternately. Ends
with status 1 where a job does not end within 10 seconds, with a status other than 0, a line that names the rank and no
process left; or where the weights of the resumed run differ. Of a rank that is killed while Python loads, in the first
second, the launcher alone tells.
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
WITHIN = 10.0  # seconds in which a job is to end


def ranks_of(mpiexec: int) -> dict[int, int]:
    """The processes of the ranks that this launcher has started, on this machine."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: dict[int, int] = {}
    for pid, parent in parents.items():
        if parents.get(parent) == mpiexec:  # between the two is the launcher's proxy
            try:
                variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            except OSError:
                continue
            found |= {int(v.partition(b"=")[2]): pid for v in variables if v.startswith(b"PMI_RANK=")}
    return found


def train(ranks: int, arguments: list[str], wait: float, rank: int, fault: signal.Signals) -> bool:
    """Train, and send a signal to a rank after so many seconds; whether the job had not ended before."""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        job = subprocess.Popen([MPIEXEC, "-n", str(ranks), *PROGRAM, *arguments], stdout=said, stderr=said)
        while time.monotonic() < begun + wait or len(ranks_of(job.pid)) < ranks:
            if job.poll() is not None:
                said.seek(0)
                return expect_success(job.returncode, said.read())
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
        said.seek(0)
        text = said.read()
    lines = [line for line in text.splitlines() if line.startswith("Error: ")]
    if not lines and fault == signal.SIGKILL and "BAD TERMINATION" in text:
        lines = [f"Error: rank {rank} was killed before its watcher had begun, so that the launcher alone tells"]
    took, left = time.monotonic() - struck, [pid for pid in processes.values() if Path(f"/proc/{pid}").exists()]
    if status == 0 and fault == signal.SIGKILL:
        return False  # it was over
    if status == 0 or len(lines) != 1 or not lines[0].startswith(f"Error: rank {rank} ") or left:
        sys.exit(f"{fault.name} to rank {rank}: status {status}, processes left {left}, said {lines}")
    print(f"{fault.name} after {wait:.2f} s: ended after {took:.1f} s: {lines[0]}", flush=True)
    return True


def expect_success(status: int, said: str) -> bool:
    """Exit unless a job that nothing has happened to went well; False."""
    if status:
        sys.exit(f"a training ended with status {status}: {said}")
    return False


def main() -> None:
    """Train once undisturbed, then with faults until there were enough, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--within", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args()
    draw, faults, runs = random.Random(asked.seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        subprocess.run([MPIEXEC, "-n", str(asked.ranks), *PROGRAM, *asked.arguments, "--out", str(whole)], check=True)
        while faults < asked.faults:
            run, runs = Path(folder, f"run {runs}"), runs + 1
            while not (run / "summary.json").exists():
                again = ["--resume", str(run)] if last_step(run) >= 0 else [*asked.arguments, "--out", str(run)]
                wait = draw.uniform(0, asked.within) if faults < asked.faults else 3600
                fault = (signal.SIGKILL, signal.SIGSTOP)[faults % 2]
                faults += train(asked.ranks, again, wait, draw.randrange(asked.ranks), fault)
            same = weights(run) == weights(whole)
            print(f"{run.name}: {faults} faults so far; {'the same weights' if same else 'OTHER WEIGHTS'}", flush=True)
            if not same:
                sys.exit(1)
    print(f"{faults} faults in {runs} runs: each job ended in time and named the rank, and all weights are the same")


if __name__ == "__main__":
    main()
