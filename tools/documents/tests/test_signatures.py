"""The reference explains each type that a public signature names."""

import ast
import builtins
import collections.abc
import inspect
import typing
from textwrap import dedent

from tools.public_names import methods, public_values

# Of Python, NumPy and Hypothesis, whose own pages describe them.
OTHERS = {*dir(builtins), *dir(typing), *dir(collections.abc)}
OTHERS |= {"NDArray", "ArrayLike", "ndarray", "DTypeLike", "ModuleType", "Path", "np", "npt", "os", "st"}


def signatures():
    """The functions, methods and constructors that users call, by name."""
    for name, value in public_values().items():
        if inspect.isclass(value):
            yield from ((f"{name}.{method}", function) for method, function in methods(value).items())
            if inspect.isfunction(vars(value).get("__init__")):
                yield name, value.__init__
        elif inspect.isfunction(value):
            yield name, value


def annotated(function):
    """The names in the annotations of a function: of dotted ones the first."""
    function = inspect.unwrap(function)
    tree: typing.Any
    found: list[typing.Any]
    try:
        (tree,) = ast.parse(dedent(inspect.getsource(function))).body
    except OSError:  # made by a decorator
        types = function.__annotations__.values()
        found = [ast.parse(x if isinstance(x, str) else getattr(x, "__name__", "")) for x in types]
    else:
        arguments = [node.annotation for node in ast.walk(tree.args) if isinstance(node, ast.arg) and node.annotation]
        found = [*arguments, *([tree.returns] if tree.returns else [])]
    texts = [ast.parse(x.value) if isinstance(x, ast.Constant) and isinstance(x.value, str) else x for x in found]
    return {node.id for x in texts for node in ast.walk(x) if isinstance(node, ast.Name)}


def test_no_type_in_a_signature_is_unexplained():
    public = {name.rpartition(".")[2] for name in public_values()}
    unexplained: dict[str, list[str]] = {}
    for name, function in signatures():
        known = {*public, *OTHERS}
        of_module = vars(inspect.getmodule(inspect.unwrap(function)))
        for word in annotated(function) - known:
            if not isinstance(of_module.get(word), typing.TypeVar | typing.ParamSpec):
                unexplained.setdefault(word, []).append(name)
    assert not unexplained, "\n".join(f"{word}: {', '.join(names[:4])}" for word, names in unexplained.items())
