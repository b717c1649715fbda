"""Each public class, function and method of tensor and nn has an example in its docstring that is true."""

import doctest

import pytest

from tools.docstrings import EXAMPLES, NAMES, docstrings

# What has none, by the beginning of the name, and why.
WITHOUT = {
    "stackgrad.tensor.Backend": "a protocol: docs/kernels.md shows what a call makes of it",
    "stackgrad.tensor.HostBackend": "a part of a backend",
    "stackgrad.tensor.NumpyBackend": "a backend, which is called by tensors",
    "stackgrad.tensor.Node": "made by functions, not by users",
    "stackgrad.tensor.Function.": "the example of Function has them",
    "stackgrad.tensor.Tensor.relu_grad": "the gradient of relu",
    "stackgrad.tensor.Context": "the first argument of a Function, whose example shows it",
    "stackgrad.tensor.Op": "a row of the op table, whose file has them all",
    "stackgrad.tensor.Reduction": "a row of the op table",
    "stackgrad.tensor.Tape": "used by backends while a function is captured",
    "stackgrad.tensor.Launches": "used by backends while a function is captured",
    "stackgrad.tensor.Captured": "made by `capture`, whose example shows it",
    "stackgrad.tensor.array_api.": "names of the array API standard, which describes them",
    "stackgrad.tensor.testing.": "the tests of backends, which are their examples",
    "stackgrad.tensor.Tensor.give_grad": "for functions of autograd",
    "stackgrad.tensor.Tensor.layout": "for plans of operations",
    "stackgrad.tensor.Tensor.memory": "for operations outside of any Function",
    "stackgrad.tensor.Tensor.new": "for operations",
    "stackgrad.tensor.Tensor.read": "for operations that read values",
    "stackgrad.tensor.Tensor.version": "for autograd",
    "stackgrad.nn.Module.forward": "defined by the example of Module",
    "stackgrad.nn.optim.Optimizer.check": "for subclasses, as `update`, which the example of Optimizer defines",
    "stackgrad.nn.optim.Optimizer.numbers": "for subclasses",
    "stackgrad.nn.optim.Optimizer.slot": "for subclasses",
    "stackgrad.nn.optim.Optimizer.update": "for subclasses",
    "stackgrad.nn.distributed.": "needs several processes: docs/distributed.md shows them",
}


pytestmark = pytest.mark.usefixtures("surroundings")

DOCSTRINGS = docstrings()


def test_every_public_name_has_an_example():
    without = [name for name in DOCSTRINGS.keys() - EXAMPLES.keys() if not name.startswith(tuple(WITHOUT))]
    assert not without, f"docstrings without an example: {', '.join(sorted(without))}"


def test_what_has_no_example_exists():
    known = [beginning for beginning in WITHOUT if any(name.startswith(beginning) for name in DOCSTRINGS)]
    assert known == list(WITHOUT)


@pytest.mark.parametrize(("name", "text"), EXAMPLES.items(), ids=EXAMPLES)
def test_examples(name, text):
    test = doctest.DocTestParser().get_doctest(text, dict(NAMES), name, None, None)
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)
