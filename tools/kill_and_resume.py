"""Kill trainings with SIGKILL at random times, and resume them until they finish; compare with an undisturbed one.

    python tools/kill_and_resume.py --kills 50 -- --model course --epochs 2

Arguments after `--` go to `stackgrad-mnist train`. The status is 1 if the weights or the metrics differ. A process is
killed after a uniformly random time from 0 to `--within` seconds, so that this may hit loading, training, writing and
the end. A process that finishes does not count as killed, and the next run starts.
"""

import argparse
import hashlib
import itertools
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

COMMAND = (sys.executable, "-W", "error", "-c", "from stackgrad.mnist.cli import main; main()", "train")


def metrics(run: Path) -> list[dict[str, object]]:
    """The lines of metrics.jsonl, without images_per_second, which varies."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


def weights(run: Path) -> str:
    """SHA-256 of the file with the weights."""
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


def last_step(run: Path) -> int:
    """The step of the last checkpoint, or -1."""
    steps = [int(path.stem.removeprefix("step-")) for path in (run / "checkpoints").glob("step-*.safetensors")]
    return max(steps, default=-1)


def left_for(seconds: float, arguments: list[str]) -> subprocess.CompletedProcess[str] | None:
    """Train for `seconds`, then kill the process. Returns its result if it ended before, else None."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def train_until_the_end(run: Path, arguments: list[str], most: int, draw: Callable[[], float]) -> int:
    """Train in the folder `run`, killing the process at most `most` times and resuming. Returns the count of kills."""
    for kills in itertools.count():
        resumed = last_step(run) >= 0
        given = ["--resume", str(run)] if resumed else [*arguments, "--out", str(run)]
        seconds = draw() if kills < most else 3600
        ended = left_for(seconds, given)
        if ended is not None:
            if ended.returncode or ended.stderr:
                sys.exit(f"{' '.join(given)} ended with status {ended.returncode}: {ended.stderr}")
            return kills
        state = f"last checkpoint after step {last_step(run):,}" if last_step(run) >= 0 else "no checkpoint yet"
        print(f"{run.name}: killed after {seconds:.2f} s, {state}", flush=True)
        if (run / "summary.json").exists():  # it had just finished
            return kills + 1
    raise AssertionError("count never ends")


def main() -> None:
    """Train once undisturbed, then until enough processes were killed, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--within", type=float, default=4.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        subprocess.run([*COMMAND, *options.arguments, "--out", str(whole)], check=True)
        kills = 0
        for i in itertools.count(1):
            run = Path(folder, f"run {i}")
            kills += train_until_the_end(
                run, options.arguments, options.kills - kills, lambda: draw.uniform(0, options.within)
            )
            same = weights(whole) == weights(run) and metrics(whole) == metrics(run)
            left = [path.name for path in run.rglob("*.partial")]
            verdict = "identical weights and metrics" if same else "DIFFERENT"
            print(f"{run.name}: {kills} kills so far; {verdict}: {weights(run)[:16]}", flush=True)
            if not same or left:
                sys.exit(f"{run.name} differs from the undisturbed run, or left {left}")
            if kills == options.kills:
                break
    print(f"{kills} kills in {i} runs, all equal to the undisturbed run")


if __name__ == "__main__":
    main()
