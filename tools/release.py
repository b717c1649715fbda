"""List the obstacles to a release, and tag it: `nox -s release -- kernels` runs this.

python tools/release.py NAME... [--strict | --tag]

A NAME is a package, such as kernels, or the tag of a release, such as kernels-v0.2.0, which is compared with the tree.
Obstacles are printed. With --strict, with --tag, and for the tag of a release, they are errors. --tag creates the tags.

noxfile.py imports this file, so this imports only the standard library.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSION = re.compile(r'^__version__ = "(\d+\.\d+\.\d+)"$', re.MULTILINE)


def git(*arguments: str) -> str:
    """The output of git."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def parsed(version: str) -> tuple[int, ...]:
    """(0, 2, 0) for "0.2" and "0.2.0"."""
    parts = [int(part) for part in version.split(".")]
    return tuple(parts + [0] * (3 - len(parts)))


def version_of(package: str) -> str:
    """The version of `package` in the tree. Raises ValueError if it has no version like 1.2.3."""
    path = ROOT / f"packages/{package}/src/stackgrad/{package}/__init__.py"
    found = VERSION.search(path.read_text(encoding="utf-8")) if path.exists() else None
    if found is None:
        raise ValueError(f'{package!r} has no version in {path}, expected a line __version__ = "1.2.3"')
    return found[1]


def declared(package: str) -> list[str]:
    """The requirements that `package` declares."""
    project = tomllib.loads((ROOT / f"packages/{package}/pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"])


def lower_bounds(requirements: Iterable[str]) -> list[tuple[str, str]]:
    """The siblings among `requirements`, with their lower bounds. Raises ValueError for a sibling without a range."""
    bounds = []
    for requirement in requirements:
        if match := re.match(r"stackgrad-(\w+)>=([\d.]+),<", requirement):
            bounds.append((match[1], match[2]))
        elif requirement.startswith("stackgrad"):
            raise ValueError(f"{requirement!r}: expected a range, such as stackgrad-tensor>=0.2,<0.3")
    return bounds


def released(package: str) -> list[str]:
    """The versions of `package` that have a tag, oldest first."""
    versions = [tag.removeprefix(f"{package}-v") for tag in git("tag", "--list", f"{package}-v*").splitlines()]
    return sorted((v for v in versions if re.fullmatch(r"\d+\.\d+\.\d+", v)), key=parsed)


def is_dated(package: str, version: str) -> bool:
    """Whether the changelog has a section for the version, with a date."""
    changelog = (ROOT / f"packages/{package}/CHANGELOG.md").read_text(encoding="utf-8")
    return bool(re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE))


def unreleased_siblings(package: str) -> list[str]:
    """The lowest versions of siblings that `package` needs, if they have no tag."""
    bounds = lower_bounds(declared(package))
    return [f"{name} {bound}" for name, bound in bounds if parsed(bound) not in map(parsed, released(name))]


def obstacles(package: str, before: tuple[str, ...]) -> list[str]:
    """Why the tree cannot be tagged as a release of `package`, if the packages `before` are tagged first."""
    version, tagged = version_of(package), released(package)
    found = []
    if not is_dated(package, version):
        found.append(f'its CHANGELOG.md has no section "## [{version}] - YYYY-MM-DD"')
    if changed := git("status", "--porcelain"):
        found.append(
            f"the tree has changes that are not committed, such as {changed.splitlines()[0].split(maxsplit=1)[1]}"
        )
    if version in tagged:
        found.append(f"the tag {package}-v{version} exists: raise __version__")
    elif tagged and parsed(version) < parsed(tagged[-1]):
        found.append(f"version {version} is older than {tagged[-1]}, which was released: raise __version__")
    for sibling in unreleased_siblings(package):
        if sibling.split()[0] not in before:
            found.append(f"it needs {sibling}, which has no tag: release it first")
    return found


def differences(tag: str) -> list[str]:
    """How the tree differs from a tag such as kernels-v0.2.0."""
    package, _, version = tag.partition("-v")
    found = []
    if version_of(package) != version:
        found.append(f"__version__ is {version_of(package)}, expected {version}")
    if not is_dated(package, version):
        found.append(f'its CHANGELOG.md has no section "## [{version}] - YYYY-MM-DD"')
    return found


def main(arguments: list[str]) -> int:
    """Check each name, and tag the packages if requested. Returns the exit status."""
    names, tag = [name for name in arguments if not name.startswith("--")], "--tag" in arguments
    strict = tag or "--strict" in arguments
    packages = tuple(name for name in names if "-v" not in name)
    found = {
        name: differences(name) if "-v" in name else obstacles(name, tuple(names[: names.index(name)]))
        for name in names
    }
    for name, reasons in found.items():
        for reason in reasons:
            print(f"{name} cannot be {'tagged' if name in packages else 'published'}: {reason}")
    if any(reasons for name, reasons in found.items() if strict or name not in packages):
        return 1
    for package in packages if tag else ():
        version = version_of(package)
        git("tag", "--annotate", f"{package}-v{version}", "--message", f"stackgrad-{package} {version}")
        print(f"tagged {package}-v{version}: git push origin {package}-v{version} publishes it")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
