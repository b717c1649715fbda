"""All families of random programs, by name."""

from __future__ import annotations

from .case import Program, shows
from .families import (
    creation,
    elementwise,
    functional,
    functions,
    graphs,
    indexing,
    layers,
    memory,
    networks,
    reductions,
    shapes,
    steps,
)

PROGRAMS: dict[str, Program] = {}

for module in (
    creation,
    elementwise,
    functions,
    reductions,
    indexing,
    shapes,
    layers,
    functional,
    memory,
    graphs,
    networks,
    steps,
):
    short = module.__name__.rpartition(".")[2]
    for family in module.FAMILIES:
        PROGRAMS[f"{short}.{family.__name__}"] = shows(family.__name__, family)
    for program in getattr(module, "PROGRAMS", ()):
        PROGRAMS[f"{short}.{program.__name__}"] = program
