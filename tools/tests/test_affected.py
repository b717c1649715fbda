"""The benchmarks that a change affects, and their order."""

import pytest

from benchmarks._execution import Touched
from tools.affected import Reason, Reasons, affects_all, in_order, is_same, reused
from tools.definitions import Tree

BASE = {
    "p/_optable.py": "from ._k import CHUNK\nROWS = (Op('add'), Op('exp'), Op('log'), Op('sin'))\n\n\n"
    "def call(x):\n    return ROWS, CHUNK\n\n\ndef backward(x):\n    return x\n",
    "p/_k.py": "CHUNK = 8\nTILE = 4\n\n\ndef body(x):\n    return inner(x) * TILE\n\n\ndef inner(x):\n    return x\n",
    "p/_math.py": "def exp(x):\n    pass\n\n\ndef _fast(x):\n    return x\n",
}


def touched(called=(), compiled=(), modules=(), rows=(), kernels=None):
    """A Touched from (path, name) pairs."""
    line_of = {(path, name): line for path, tree in BASE.items() for line, name in lines_of(tree)}
    found = [frozenset((path, line_of[path, name]) for path, name in names) for names in (called, compiled)]
    return Touched(found[0], found[1], modules, frozenset(rows), kernels or {})


def lines_of(source):
    for i, line in enumerate(source.splitlines(), 1):
        if line.startswith("def "):
            yield i, line[4:].split("(")[0]


def reason(path, old, new, of):
    base = Tree(BASE)
    head = Tree({**BASE, path: BASE[path].replace(old, new)})
    return Reasons(base, head).of(of)


CALL = touched(called=[("p/_optable.py", "call")], compiled=[("p/_k.py", "body")], rows=["exp"])


@pytest.mark.parametrize(
    ("path", "old", "new", "called", "compiled"),
    [
        ("p/_optable.py", "return ROWS, CHUNK", "return CHUNK, ROWS", {"call"}, set()),
        ("p/_k.py", "CHUNK = 8", "CHUNK = 16", {"CHUNK"}, set()),
        ("p/_k.py", "TILE = 4", "TILE = 5", set(), {"TILE"}),
        ("p/_k.py", "return x\n", "return x + 1\n", set(), {"inner"}),
        ("p/_optable.py", "Op('exp')", "Op('exp', 1)", {"ROWS[exp]"}, set()),
    ],
)
def test_executed_code_and_what_it_reads_affect_a_benchmark(path, old, new, called, compiled):
    found = reason(path, old, new, CALL)
    assert {name for _, name in found.called} == called
    assert {name for _, name in found.compiled} == compiled


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("p/_optable.py", "def backward(x):\n    return x", "def backward(x):\n    return -x"),
        ("p/_optable.py", "Op('log')", "Op('log', 1)"),
        ("p/_math.py", "return x", "return -x"),
        ("p/_math.py", "def _fast", "# fast\ndef _fast"),
    ],
)
def test_code_that_is_not_executed_does_not(path, old, new):
    assert reason(path, old, new, CALL) is None


def test_a_function_that_numba_replaces_represents_its_module():
    kernel = touched(compiled=[("p/_k.py", "body")], modules=["p/_math.py"])
    assert {name for _, name in reason("p/_math.py", "return x", "return -x", kernel).compiled} == {"_fast"}


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("p/_optable.py", "return ROWS, CHUNK", "return CHUNK"),
        ("p/_k.py", "CHUNK = 8", "CHUNK = 16"),
        ("p/_k.py", "TILE = 4", "TILE = 5"),
    ],
)
def test_the_share_is_relative_to_the_executed_code(path, old, new):
    assert reason(path, old, new, CALL).share == 1 / 2


BY_KERNELS = Reason(frozenset(), frozenset({("p", "f")}), 0.1)
BY_CALL = Reason(frozenset({("p", "f")}), frozenset(), 0.1)


def test_benchmarks_with_the_same_machine_code_are_the_same():
    same, other, unknown = ({"f": code} for code in ("1", "2", "unknown"))
    assert is_same(touched(kernels=same), touched(kernels=same), BY_KERNELS)
    assert not is_same(touched(kernels=same), touched(kernels=other), BY_KERNELS)
    assert not is_same(touched(kernels=unknown), touched(kernels=unknown), BY_KERNELS)
    assert not is_same(touched(kernels=same), touched(kernels=same), BY_CALL)


def test_one_benchmark_of_each_entry_comes_first_and_numpy_last():
    names = [
        f"m.f('{op}', '{size}', '{backend}')" for backend in ("numpy", "cpu") for op in "ab" for size in ("1e3", "1e6")
    ]
    by_kernels, by_call = (in_order(dict.fromkeys(names, reason)) for reason in (BY_KERNELS, BY_CALL))
    assert by_kernels[:2] == ["m.f('a', '1e6', 'cpu')", "m.f('b', '1e6', 'cpu')"]
    assert by_call[:2] == ["m.f('a', '1e3', 'cpu')", "m.f('b', '1e3', 'cpu')"]
    assert all("numpy" in name for name in by_call[4:])


def test_benchmarks_in_which_the_change_is_a_larger_part_come_first():
    reasons = {"m.f(1)": BY_CALL._replace(share=0.01), "m.g(1)": BY_CALL._replace(share=0.5)}
    assert in_order(reasons) == ["m.g(1)", "m.f(1)"]


@pytest.mark.parametrize(
    "path",
    ["pyproject.toml", "packages/nn/pyproject.toml", "benchmarks/_suite.py", "packages/nn/src/stackgrad/nn/x.json"],
)
def test_files_that_affect_all(path):
    assert affects_all([path]) == [path]


@pytest.mark.parametrize(
    "path",
    ["docs/x.md", "packages/nn/tests/test_x.py", "tools/slower.py", "README.md", "packages/nn/src/stackgrad/nn/x.py"],
)
def test_files_that_do_not(path):
    assert affects_all([path]) == []


def test_records_of_another_commit_are_reused_if_nothing_differs():
    head = {**BASE, "p/_optable.py": "# another line\n" + BASE["p/_optable.py"].replace("ROWS, CHUNK", "CHUNK, ROWS")}
    back = touched(called=[("p/_optable.py", "backward")], compiled=[("p/_k.py", "body")], kernels={"f": "1"})
    found = reused({"forward": CALL, "backward": back}, Tree(BASE), Tree(head))
    ((_, line),) = back.called
    assert found == {"backward": back._replace(called={("p/_optable.py", line + 1)})}
