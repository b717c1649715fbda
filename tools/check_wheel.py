"""Check the installed wheel of one package: python tools/check_wheel.py PACKAGE [FOLDER].

It must be installed with only its declared requirements; the wheel itself is in FOLDER or in dist/. This checks its
contents, that it declares everything that it imports, and that it can be imported. `nox -s wheels` and `nox -s release`
run this.
"""

import ast
import importlib
import re
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distributions, requires
from pathlib import Path

# Distributions that are imported under another name.
IMPORTED_AS = {"cuda-core": "cuda", "pillow": "PIL", "python-mnist": "mnist", "tensorboardx": "tensorboardX"}
# Everything that an installation contains, for the package that guarantees it.
INSTALLED = {"tensor": {"numpy", "stackgrad-tensor"}}
INSTALLERS = {"pip", "setuptools", "wheel"}
IDX_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def wrong_contents(package: str, names: set[str]) -> Iterator[str]:
    """Errors in the list of files in the wheel."""
    source = Path(f"packages/{package}/src")
    expected = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    expected.add(f"stackgrad/{package}/py.typed")
    if package == "mnist":
        expected |= {f"stackgrad/mnist/files/{name}-ubyte.gz" for name in IDX_FILES}
    for name in sorted(expected - names):
        if not any(part == "__pycache__" or part.startswith(".") for part in name.split("/")):
            yield f"lacks {name}"
    for name in sorted(names):
        if ".dist-info/" not in name and not name.startswith(f"stackgrad/{package}/"):
            yield f"contains {name}, which is not under stackgrad/{package}/"
    licences = {name.rpartition("/licenses/")[2] for name in names if ".dist-info/licenses/" in name}
    for path in Path(f"packages/{package}").glob("LICENSE*"):
        if path.name not in licences:
            yield f"lacks the licence file {path.name}"


def imported(source: str) -> set[str]:
    """What a file imports absolutely, shortened to names like "numpy" or "stackgrad.tensor"."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "stackgrad":
            modules |= {f"stackgrad.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules.add(node.module)
    return {".".join(module.split(".")[: 2 if module.startswith("stackgrad.") else 1]) for module in modules}


def undeclared(package: str, wheel: zipfile.ZipFile) -> Iterator[str]:
    """The imports without a requirement, of an extra or not, even if a sibling requires them."""
    known = sys.stdlib_module_names | {f"stackgrad.{package}"}
    for requirement in requires(f"stackgrad-{package}") or []:
        name = re.split(r"[^\w.-]", requirement)[0]
        known |= {IMPORTED_AS.get(name, name.replace("stackgrad-", "stackgrad.").replace("-", "_"))}
    for file in wheel.namelist():
        if file.endswith(".py"):
            for module in sorted(imported(wheel.read(file).decode()) - known):
                yield f"imports {module} in {file}, but does not declare it"


def wrongs(package: str, folder: str = "dist") -> Iterator[str]:
    """All errors of the wheel of `package` in `folder`, and of its installation in this environment."""
    (path,) = Path(folder).glob(f"stackgrad_{package}-*.whl")
    with zipfile.ZipFile(path) as wheel:
        yield from wrong_contents(package, set(wheel.namelist()))
        yield from undeclared(package, wheel)
    versions = {each.name: each.version for each in distributions() if each.name not in INSTALLERS}
    print(f"installed: {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}")
    installed = set(versions)
    if package in INSTALLED and installed != INSTALLED[package]:
        yield f"installs {sorted(installed)}, expected {sorted(INSTALLED[package])}"
    try:
        module = importlib.import_module(f"stackgrad.{package}")
    except ImportError as error:
        yield f"cannot be imported: {error}"
    else:
        if "site-packages" not in str(module.__file__):
            yield f"is imported from {module.__file__}, expected the installed wheel"


if __name__ == "__main__":
    found = [f"stackgrad-{sys.argv[1]} {wrong}" for wrong in wrongs(*sys.argv[1:])]
    sys.exit("\n".join(found) or 0)
