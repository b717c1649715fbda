"""The variables and attributes that a function uses, read from its bytecode."""

from __future__ import annotations

import dis
import sys
from functools import cache
from types import CodeType
from typing import NamedTuple

_ASK_FOR_ALL = {"vars", "getattr", "__dict__"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR"}


class Chain(NamedTuple):
    """`a.b.c` in the code: the variable a, its scope ("global", "free" or "local"), and the attributes b, c."""

    variable: str
    where: str
    attributes: tuple[str, ...]


class Uses(NamedTuple):
    """The names that code uses: chains of attributes of variables, and `loose` attributes of other values.

    `called`: the attributes that it reads only to call them, as `x.a(1)` does. `asks`: whether it may read all
    attributes of an object.
    """

    chains: frozenset[Chain]
    loose: frozenset[str]
    called: frozenset[str]
    asks: bool


@cache
def uses_of(code: CodeType, without: frozenset[CodeType] = frozenset()) -> Uses:
    """The names that code uses, including the functions inside it, except those in `without`."""
    chains: set[Chain] = set()
    loose: set[str] = set()
    kept: set[str] = set()
    _collect(code, frozenset(code.co_freevars), chains, loose, kept, without)
    attributes = loose.union(*[chain.attributes for chain in chains])
    asks = not attributes.union([chain.variable for chain in chains]).isdisjoint(_ASK_FOR_ALL)
    return Uses(frozenset(chains), frozenset(loose), frozenset(attributes - kept), asks)


def _calls(instruction: dis.Instruction) -> bool:
    """Whether the instruction reads an attribute for the call of a method."""
    if instruction.opname == "LOAD_METHOD":
        return True
    return sys.version_info >= (3, 12) and instruction.opname == "LOAD_ATTR" and bool((instruction.arg or 0) & 1)


def _where(name: str, variable: str, free: frozenset[str]) -> str:
    """The scope of a variable. A LOAD_FAST of a free one passes it to an inner function and does not use it."""
    return "free" if variable in free and "DEREF" in name else "local"


def _collect(
    code: CodeType,
    free: frozenset[str],
    chains: set[Chain],
    loose: set[str],
    kept: set[str],
    without: frozenset[CodeType],
) -> None:
    """Add what code uses to `chains` and `loose`, and to `kept` the attributes that it does not only call."""
    variable = where = ""  # of the current chain; "" for none
    attributes: list[str] = []
    before = ""
    for instruction in dis.get_instructions(code):
        name, value = instruction.opname, instruction.argval
        if name in _ATTRIBUTES:
            if not _calls(instruction):
                kept.add(value)
            if variable:
                attributes.append(value)
            elif not (name == "STORE_ATTR" and before == "SWAP"):  # of x.a += 1, where x.a was loaded before
                loose.add(value)
        elif name == "LOAD_SUPER_ATTR":
            loose.add(value)
            kept.add(value)
        elif name not in ("COPY", "EXTENDED_ARG"):
            if variable:
                chains.add(Chain(variable, where, tuple(attributes)))
            variable, attributes = "", []
            if "LOAD_FAST" in name or name in ("LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF"):
                variable = value[-1] if isinstance(value, tuple) else value
                where = "global" if name in ("LOAD_GLOBAL", "LOAD_NAME") else _where(name, variable, free)
            elif name in ("STORE_DEREF", "DELETE_DEREF", "STORE_GLOBAL", "DELETE_GLOBAL"):
                chains.add(Chain(value, "global" if "GLOBAL" in name else _where(name, value, free), ()))
        before = name
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant not in without:
            _collect(constant, free, chains, loose, kept, without)
