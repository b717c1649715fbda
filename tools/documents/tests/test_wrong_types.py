"""An argument of a wrong type gets an error of ours, which says what was given and what is expected.

The example of each docstring calls its function; here it runs again with each argument of that call replaced.
"""

import ast
import dis
import doctest
import inspect

import pytest

import stackgrad.tensor as sg
from tools.docstrings import EXAMPLES, NAMES
from tools.public_names import public_values

pytestmark = pytest.mark.usefixtures("surroundings")

WRONG = {"text": "a", "a float": 2.5, "None": None, "an object": object(), "a list": [1.5, "a"], "{}": {}, "1j": 1j}

# Called by the library with its own values, and by users only to look at what it returns.
TRUSTED = ["stackgrad.nn.optim.lr_scheduler.Schedule.rate"]
CASES = {name: text for name, text in EXAMPLES.items() if name not in TRUSTED}


def ours(error):
    """Whether a `raise` of stackgrad raised it, or the lookup of an index or a key, whose error names that."""
    trace = error.__traceback__
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    (name,) = [instruction.opname for instruction in dis.get_instructions(code) if instruction.offset == trace.tb_lasti]
    raised = "stackgrad" in code.co_filename and name == "RAISE_VARARGS"
    return raised or isinstance(error, LookupError) or code.co_filename == "<example>"


def error_of(code, wrong):
    """The error of the program in which `wrong` has this value, or None."""
    try:
        exec(code, {**NAMES, "wrong": wrong})
    except Exception as error:
        return error
    return None


def function_of(name):
    """The function, method or class with this full name."""
    values = public_values()
    if name in values:
        return values[name]
    cls, _, method = name.rpartition(".")
    return getattr(values[cls], method)


def call_of(program, name):
    """The first call in a program of a function with this name."""
    calls = [node for node in ast.walk(program) if isinstance(node, ast.Call)]
    named = [node for node in calls if name in (getattr(node.func, "attr", None), getattr(node.func, "id", None))]
    return named[0] if named else None


def replaced(text, name):
    """For each argument of the call of `name`: its name or index, and the example with `wrong` in its place."""
    source = "".join(example.source for example in doctest.DocTestParser().get_examples(text))
    call = call_of(ast.parse(source), name.rpartition(".")[2])
    if call is None or not callable(function_of(name)):
        return
    try:
        parameters = [p for p in inspect.signature(function_of(name)).parameters.values() if p.name != "self"]
    except ValueError:  # no signature: written in C
        return
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    given = {p.name for p in parameters[: len(call.args)]} | {keyword.arg for keyword in call.keywords}
    spread = any(isinstance(argument, ast.Starred) for argument in call.args)
    for which in (*range(0 if spread else len(call.args)), *sorted(by_name if spread else by_name | given)):
        program = ast.parse(source)
        again = call_of(program, name.rpartition(".")[2])
        assert again is not None
        wrong = ast.Name("wrong", ast.Load())
        known = [keyword for keyword in again.keywords if keyword.arg == which]
        if isinstance(which, int):
            again.args[which] = wrong
        elif known:
            known[0].value = wrong
        elif which in given or spread:
            continue
        else:
            again.keywords.append(ast.keyword(which, wrong))
        yield which, compile(ast.fix_missing_locations(program), "<example>", "exec")


@pytest.mark.filterwarnings("ignore")  # what a valid value of another type computes
@pytest.mark.parametrize(("name", "text"), CASES.items(), ids=CASES)
def test_wrong_types(name, text):
    for argument, code in replaced(text, name):
        for shown, wrong in WRONG.items():
            error = error_of(code, wrong)
            sg.set_default_backend("numpy")
            assert error is None or ours(error), f"{argument} = {shown}: {type(error).__name__}: {error}"


@pytest.mark.parametrize("program", ["x[0] = wrong", "x[wrong]", "x[wrong] = 1.0", "x[0, wrong]"])
@pytest.mark.parametrize("shown", WRONG)
def test_wrong_indices_and_values(program, shown):
    error = error_of(compile(f"x = ones(3, 2)\n{program}", "<example>", "exec"), WRONG[shown])
    valid = "a float" if program == "x[0] = wrong" else "None"  # a float is a value, None an index
    assert (error is None) == (shown == valid)
    assert error is None or ours(error), f"{type(error).__name__}: {error}"
