"""Randomly damaged files: each gives an answer or a one-line error.

MUTATED_FILES=10000 tries that many files, which takes some minutes; the default is a few.
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
    """A file with one to three changes, half of them near its start, where the headers are."""
    out = bytearray(content)
    for _ in range(draw.integers(1, 4)):
        reach = len(out) if draw.random() < 0.5 else min(len(out), 200)
        at = int(draw.integers(0, max(1, reach)))
        length = int(draw.integers(1, 64))
        match draw.integers(0, 8):
            case 0 | 1:
                if out:
                    out[at] ^= 1 << int(draw.integers(0, 8))
            case 2:
                out[at : at + length] = draw.bytes(len(out[at : at + length]))
            case 3:
                del out[at:]
            case 4:
                del out[at : at + length]
            case 5:
                out[at:at] = draw.bytes(length)
            case 6:
                out[at:at] = out[at : at + 40 * length]
            case 7:
                extreme = EXTREMES[draw.integers(0, len(EXTREMES))]
                out[at : at + 4] = extreme if draw.random() < 0.5 else extreme[::-1]
    return bytes(out)


def with_correct_checksums(png: bytes) -> bytes:
    """A PNG file with corrected checksums of its chunks, so that their contents are parsed."""
    out, start = bytearray(png), 8
    while start + 12 <= len(out):
        (length,) = struct.unpack(">I", out[start : start + 4])
        end = start + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[start + 4 : end]))
        start = end + 4
    return bytes(out)


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail if the body of the context takes longer."""

    def hang(signum: int, frame: FrameType | None) -> None:
        raise AssertionError(f"still running after {seconds} seconds")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check(result: subprocess.CompletedProcess[str]) -> bool:
    """Whether a command gave an answer; fails unless it gave an answer or a one-line error."""
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
    originals: list[bytes], path: Path, form: str, command: Callable[[], subprocess.CompletedProcess[str]]
) -> list[bool]:
    """Whether `command` answers, for each of a quarter of the mutations as the file at `path`."""
    draw = np.random.default_rng(list(form.encode()))
    answered = []
    for i in range(COUNT // 4):
        content = mutated(originals[i % len(originals)], draw)
        if form == "png" and draw.random() < 0.7:
            content = with_correct_checksums(content)
        if form == "idx" and path.suffix == ".gz":
            content = gzip.compress(content, 1) if draw.random() < 0.7 else content
        path.write_bytes(content)
        with within(60):
            answered.append(check(command()))
    assert peak_memory_mb() < 1000
    return answered


def pictures(mnist: Dataset, form: str) -> list[bytes]:
    """One picture in several sizes and modes."""
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


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no SIGALRM")
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_pictures(form: str, mnist: Dataset, trained_course: Path, cli: Cli) -> None:
    path = Path(f"picture.{form.lower()}")
    answered = all_mutations(
        pictures(mnist, form),
        path,
        form.lower(),
        lambda: cli("predict", path, "--run", trained_course, "--backend", "numpy"),
    )
    assert 0 < sum(answered) < len(answered)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no SIGALRM")
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


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no SIGALRM")
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
