"""The tables in docs/counts.md of what kernels and calls execute."""

from __future__ import annotations

import re
from collections.abc import Mapping

from benchmarks._pipe import ROOT

from .callgrind import Counts

DOCUMENT = ROOT / "docs" / "counts.md"
BEGIN, END = "<!-- instructions -->", "<!-- end of instructions -->"
SMALL, LARGE = 1_000, 50_000  # elements of "1e3" and "1e6" when instructions are counted
Found = Mapping[str, Counts]


def tables(counts: Found, made_with: Mapping[str, str]) -> str:
    """Instructions per element for the kernels of the op table, and per call for calls and for everything else."""
    versions = ", ".join(f"{name} {text.split(' (')[0]}" for name, text in made_with.items())
    return f"Counted with {versions}.\n\n{_elements(counts)}\n\n{_calls(counts)}\n\n{_others(counts)}"


def write(text: str) -> None:
    """Write the tables between their marks in the document. Raises ValueError if it has none."""
    before, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{DOCUMENT}: expected the marks {BEGIN} and {END}")
    DOCUMENT.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


def _elements(counts: Found) -> str:
    """A row for each operation. Two sizes in float32 show how many instructions a call takes without elements."""
    lines = ["| instructions per element | float32 | float64 | int64 | bool |", "|---|---|---|---|---|"]
    pattern = r"bench_elementwise\.time_(?:float32|float64|int64|bool)\('(\w+)'"
    for op in dict.fromkeys(match[1] for match in map(re.compile(pattern).match, counts) if match):
        small, large = (
            counts.get(f"bench_elementwise.time_float32('{op}', '{size}', 'cpu')") for size in ("1e3", "1e6")
        )
        cells, call = [""], 20_000.0
        if small and large:
            element = (large.instructions - small.instructions) / (LARGE - SMALL)
            cells, call = [f"{element:.2f}"], small.instructions - SMALL * element
        for dtype in ("float64", "int64", "bool"):
            found = counts.get(f"bench_elementwise.time_{dtype}('{op}', 'cpu')")
            cells.append(f"{(found.instructions - call) / LARGE:.2f}" if found else "")
        lines.append(f"| {op} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _calls(counts: Found) -> str:
    lines = ["| instructions per call, about 1,000 elements | |", "|---|---|"]
    for name, found in counts.items():
        if match := re.match(r"bench_calls\.count_call\('(.*)'\)|bench_\w+\.time_\w+\('(\w+)'.*'1e3', 'cpu'\)", name):
            lines.append(f"| {match[1] or name.removeprefix('bench_')} | {found.instructions:,.0f} |")
    return "\n".join(lines)


def _others(counts: Found) -> str:
    lines = ["| instructions per call, other kernels and steps | |", "|---|---|"]
    for name, found in counts.items():
        if not re.match(r"bench_calls\.|bench_elementwise\.time_(float|int|bool)", name) and "'1e3'" not in name:
            lines.append(f"| {name.removeprefix('bench_')} | {found.instructions:,.0f} |")
    return "\n".join(lines)
