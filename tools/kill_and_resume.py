"""Kill trainings with SIGKILL at random moments and resume them, until they end; compare with one that was left alone.

    python tools/kill_and_resume.py --kills 50 -- --model course --epochs 2

What stands behind `--` goes to `stackgrad-mnist train`. Ends with status 1 where the weights or the metrics differ.
A process lives for a time drawn evenly from 0 to `--within` seconds, so that loading, training, writing and the end are
all hit; a run that ended counts no kill, and another one is begun.
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
    """The lines of metrics.jsonl without what differs each time."""
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
    """Train for so long, then kill; what came of it, where it ended before."""
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def train_until_the_end(run: Path, arguments: list[str], most: int, draw: Callable[[], float]) -> int:
    """Train into `run`, killed at most so often and begun or resumed again; how often it was killed."""
    for kills in itertools.count():
        resumed = last_step(run) >= 0
        asked = ["--resume", str(run)] if resumed else [*arguments, "--out", str(run)]
        seconds = draw() if kills < most else 3600
        ended = left_for(seconds, asked)
        if ended is not None:
            if ended.returncode or ended.stderr:
                sys.exit(f"{' '.join(asked)} ended with status {ended.returncode}: {ended.stderr}")
            return kills
        state = f"last checkpoint after step {last_step(run):,}" if last_step(run) >= 0 else "no checkpoint yet"
        print(f"{run.name}: killed after {seconds:.2f} s, {state}", flush=True)
        if (run / "summary.json").exists():  # it was just done
            return kills + 1
    raise AssertionError("count never ends")


def main() -> None:
    """Train once undisturbed, then as often as it takes to have killed so many processes, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--within", type=float, default=4.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole")
        subprocess.run([*COMMAND, *asked.arguments, "--out", str(whole)], check=True)
        kills = 0
        for number in itertools.count(1):
            run = Path(folder, f"run {number}")
            kills += train_until_the_end(
                run, asked.arguments, asked.kills - kills, lambda: draw.uniform(0, asked.within)
            )
            same = weights(whole) == weights(run) and metrics(whole) == metrics(run)
            left = [path.name for path in run.rglob("*.partial")]
            verdict = "identical weights and metrics" if same else "DIFFERENT"
            print(f"{run.name}: {kills} kills so far; {verdict}: {weights(run)[:16]}", flush=True)
            if not same or left:
                sys.exit(f"{run.name} differs from the undisturbed one, or left {left}")
            if kills == asked.kills:
                break
    print(f"{kills} kills in {number} runs, all of them like the undisturbed one")


if __name__ == "__main__":
    main()
