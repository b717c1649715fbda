"""Kill a training with SIGKILL at random moments and resume it, until it ends; compare with one that was left alone.

    python tools/kill_and_resume.py --kills 50 -- --model course --epochs 2

What stands behind `--` goes to `stackgrad-mnist train`. Ends with status 1 where the weights or the metrics differ.
`--within SECONDS` is the longest that a process is left alive; moments are drawn evenly from 0 to that: loading,
training and writing are all hit.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
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


def killed_often(run: Path, arguments: list[str], kills: int, within: float, draw: random.Random) -> int:
    """Train into `run`, killed so often, then to the end; how many kills came before the first checkpoint."""
    unbegun = 0
    for number in range(kills):
        begun = last_step(run) >= 0
        unbegun += not begun
        asked = ["--resume", str(run)] if begun else [*arguments, "--out", str(run)]
        seconds = draw.uniform(0, within)
        ended = left_for(seconds, asked)
        state = f"after step {last_step(run)}" if last_step(run) >= 0 else "before the first checkpoint"
        print(f"kill {number + 1}: after {seconds:.2f} s, {state}", flush=True)
        if ended is None:
            continue
        if ended.returncode or ended.stderr:
            sys.exit(f"it ended by itself with status {ended.returncode}: {ended.stderr}")
        sys.exit(f"it was finished after {number} kills: ask for more epochs, or a shorter --within")
    ended = left_for(3600, ["--resume", str(run)] if last_step(run) >= 0 else [*arguments, "--out", str(run)])
    if ended is None or ended.returncode or ended.stderr:
        sys.exit(f"the last resume failed: {ended}")
    return unbegun


def main() -> None:
    """Run both and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--within", type=float, default=4.0, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder, "whole"), Path(folder, "killed")
        subprocess.run([*COMMAND, *asked.arguments, "--out", str(whole)], check=True)
        start = time.monotonic()
        unbegun = killed_often(killed, asked.arguments, asked.kills, asked.within, random.Random(asked.seed))
        same = weights(whole) == weights(killed) and metrics(whole) == metrics(killed)
        print(f"weights {weights(whole)[:16]} and {weights(killed)[:16]}, {len(metrics(killed))} lines of metrics")
        print(
            f"{asked.kills} kills in {time.monotonic() - start:.0f} s, {unbegun} before the first checkpoint: "
            f"{'identical weights and metrics' if same else 'DIFFERENT'}"
        )
    sys.exit(not same)


if __name__ == "__main__":
    main()
