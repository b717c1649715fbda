"""Files that are damaged in any way: an answer or one clear line for each.

MUTATED_FILES=10000 tries so many, in some minutes, in place of the few that are tried each time.
"""

import gzip
import io
import os
import shutil
import signal
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from stackgrad.mnist import Dataset
from stackgrad.mnist.runs.process import peak_memory_mb

Cli = Any
COUNT = int(os.environ.get("MUTATED_FILES", "240"))
EXTREMES = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0\0\0\1", b"\0\1\0\0")


def mutated(content: bytes, draw: np.random.Generator) -> bytes:
    """A file with one to three changes, half of them near its start, where formats keep what they promise."""
    out = bytearray(content)
    for _ in range(draw.integers(1, 4)):
        reach = len(out) if draw.random() < 0.5 else min(len(out), 200)
        place = int(draw.integers(0, max(1, reach)))
        length = int(draw.integers(1, 64))
        match draw.integers(0, 8):
            case 0 | 1:
                if out:
                    out[place] ^= 1 << int(draw.integers(0, 8))
            case 2:
                out[place : place + length] = draw.bytes(len(out[place : place + length]))
            case 3:
                del out[place:]
            case 4:
                del out[place : place + length]
            case 5:
                out[place:place] = draw.bytes(length)
            case 6:
                out[place:place] = out[place : place + 40 * length]
            case 7:
                extreme = EXTREMES[draw.integers(0, len(EXTREMES))]
                out[place : place + 4] = extreme if draw.random() < 0.5 else extreme[::-1]
    return bytes(out)


def with_right_sums(png: bytes) -> bytes:
    """A PNG file with its chunks' checksums made right again, so that what is in them is looked at."""
    out, place = bytearray(png), 8
    while place + 12 <= len(out):
        (length,) = struct.unpack(">I", out[place : place + 4])
        end = place + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[place + 4 : end]))
        place = end + 4
    return bytes(out)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail where it hangs."""

    def hang(signum: int, frame: FrameType | None) -> None:
        raise AssertionError(f"no end after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(result: subprocess.CompletedProcess[str]) -> bool:
    """Whether it was an answer; fails unless it is one, or one line that says why there is none."""
    if result.returncode == 0:
        assert result.stdout
        return True
    assert result.returncode == 2, result
    assert result.stderr.startswith("Error: "), result
    assert result.stderr.count("\n") == 1, result
    assert result.stderr.rstrip("\n").isprintable(), result
    assert len(result.stderr) < 1000, result
    return False


def all_mutations(
    originals: list[bytes], place: Path, kind: str, command: Callable[[], subprocess.CompletedProcess[str]]
) -> list[bool]:
    """Whether each of a quarter of the mutations is answered, when the file stands in `place`."""
    draw = np.random.default_rng(list(kind.encode()))
    answered = []
    for number in range(COUNT // 4):
        content = mutated(originals[number % len(originals)], draw)
        if kind == "png" and draw.random() < 0.7:
            content = with_right_sums(content)
        if kind == "idx" and place.suffix == ".gz":
            content = gzip.compress(content, 1) if draw.random() < 0.7 else content
        place.write_bytes(content)
        with within(60):
            answered.append(check(command()))
    assert peak_memory_mb() < 1000
    return answered


def pictures(mnist: Dataset, form: str) -> list[bytes]:
    """One picture in several forms."""
    grey = Image.fromarray(mnist.test.images[0])
    drawn = grey.resize((200, 150)).convert("RGB")
    made = [grey, drawn, Image.fromarray(np.asarray(grey.resize((90, 90))).astype(np.uint16) * 257)]
    made += [drawn.convert("P"), drawn.convert("RGBA"), drawn.convert("1")]
    exif = Image.Exif()
    exif[0x0112] = 6
    files = []
    for image in made[:2] if form == "JPEG" else made:
        file = io.BytesIO()
        if form == "JPEG":
            image.save(file, form, exif=exif, progressive=image is drawn)
        else:
            text = PngImagePlugin.PngInfo()
            text.add_text("Comment", "seven" * 20, zip=True)
            image.save(file, form, pnginfo=text)
        files.append(file.getvalue())
    return files


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no alarm to stop what hangs")
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_pictures(form: str, mnist: Dataset, trained_course: Path, cli: Cli) -> None:
    place = Path(f"picture.{form.lower()}")
    answered = all_mutations(
        pictures(mnist, form),
        place,
        form.lower(),
        lambda: cli("predict", place, "--run", trained_course, "--backend", "numpy"),
    )
    assert 0 < sum(answered) < len(answered)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no alarm to stop what hangs")
def test_idx(folder: Path, trained_course: Path, cli: Cli) -> None:
    shutil.copytree(folder, "data")
    answered = []
    names = [path.name for path in sorted(folder.iterdir())]
    for name in names:
        for suffix in ("", ".gz"):
            original = (folder / name).read_bytes()
            (Path("data") / name).unlink(missing_ok=True)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(f"{__name__}.COUNT", COUNT // (2 * len(names)))
                answered += all_mutations(
                    [original],
                    Path("data") / (name + suffix),
                    "idx",
                    lambda: cli("evaluate", trained_course, "--data", "data", "--backend", "numpy"),
                )
            (Path("data") / (name + ".gz")).unlink(missing_ok=True)
            (Path("data") / name).write_bytes(original)
    assert 0 < sum(answered) < len(answered)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no alarm to stop what hangs")
def test_safetensors(trained_course: Path, folder: Path, cli: Cli) -> None:
    run = Path(shutil.copytree(trained_course, "run"))
    original = (run / "model.safetensors").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.COUNT", COUNT // 2)
        all_mutations(
            [original],
            run / "model.safetensors",
            "safetensors",
            lambda: cli("evaluate", run, "--limit", 5, "--backend", "numpy"),
        )
        (run / "summary.json").unlink()
        first, last = sorted((run / "checkpoints").iterdir())
        first.unlink()

        def resume() -> subprocess.CompletedProcess[str]:
            (run / "summary.json").unlink(missing_ok=True)
            return cli("train", "--resume", run)

        all_mutations([last.read_bytes()], last, "checkpoint", resume)
