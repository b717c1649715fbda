"""Build the packages of a commit from its own tree, for processes that measure them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from benchmarks._pipe import ROOT


def git(*arguments: str, index: Path | None = None, failed: str = "") -> str:
    """The output of git. Exits with git's message and status 2 if it fails or is not installed."""
    if not shutil.which("git"):
        print("git is not installed: apt-get install git", file=sys.stderr)
        sys.exit(2)
    environment = os.environ | ({"GIT_INDEX_FILE": str(index)} if index else {})
    command = ["git", *arguments]
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if found.returncode:
        print(f"{failed or ' '.join(command)}: {found.stderr.strip()}", file=sys.stderr)
        sys.exit(2)
    return found.stdout.strip()


def commit_of(name: str) -> str:
    """The hash of a commit. Exits with git's message and status 2 if there is no such commit."""
    return git("rev-parse", "--verify", f"{name}^{{commit}}", failed=f"{name!r} is not a commit here")


def tree_here() -> str:
    """The hash of the packages in the working tree, committed or not. The functions below accept it as a commit."""
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder) / "index"
        git("add", "--all", "packages", index=index)
        return git("write-tree", index=index)


def say_if_uncommitted(head: str) -> None:
    """If `head` is HEAD, print a warning if the packages have uncommitted changes, which a comparison leaves out."""
    if head == commit_of("HEAD") and git("rev-parse", f"{head}:packages") != git(
        "rev-parse", f"{tree_here()}:packages"
    ):
        print("packages/ has changes that are not committed: they are left out")


def unpacked(commit: str) -> Path:
    """The folder with the packages of a commit, built on the first call. Exits with status 2 if that fails."""
    folder = ROOT / ".asv" / "compare" / commit
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "archive", commit, "packages"], cwd=ROOT, capture_output=True, check=True)
        with tempfile.TemporaryDirectory() as tree:
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(tree, filter="data")
            wheels = Path(tree) / "wheels"
            build = [sys.executable, str(ROOT / "tools" / "build_wheels.py"), str(wheels)]
            built = subprocess.run(build, cwd=tree, capture_output=True, text=True, check=False)
            if built.returncode:
                print(f"the packages of {commit[:12]} cannot be built:\n{built.stderr.strip()}", file=sys.stderr)
                sys.exit(2)
            part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{commit}."))
            for wheel in wheels.glob("*.whl"):
                with zipfile.ZipFile(wheel) as files:
                    files.extractall(part)
            try:
                part.rename(folder)
            except OSError:  # another process was faster
                if not folder.exists():
                    raise
                shutil.rmtree(part)
    return folder


def environment(commit: str) -> dict[str, str]:
    """The environment variables for a process that imports the packages of a commit."""
    return {"PYTHONPATH": str(unpacked(commit)), "ASV_COMMIT": commit}
