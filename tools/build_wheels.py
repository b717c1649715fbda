"""Build the wheels of all packages in the current tree: python tools/build_wheels.py FOLDER. Needs hatchling."""

import subprocess
import sys
from pathlib import Path

folder = Path(sys.argv[1]).resolve()
for project in sorted(Path("packages").glob("*/pyproject.toml")):
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=project.parent, check=True)
