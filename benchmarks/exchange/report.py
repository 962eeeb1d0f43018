"""Turns results into one table, for the terminal and for `docs/reliability.md`."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.exchange.bench import ROOT, Result
from benchmarks.exchange.scenarios import Scenario

DOCUMENT = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: obo -->", "<!-- end: obo -->"
HEADINGS = ("Situation", "Exchange", "Failed calls", "Requests to Entra", "Sockets open afterwards", "Time")
NEW_DOCUMENT = "# Reliability, measured\n"
NEW_SECTION = f"\n## The exchange, beside FastMCP's own\n\n`make bench ARGS=--obo` writes this.\n\n{BEGIN}\n{END}\n"


@dataclass(frozen=True)
class Comparison:
    """All rounds of one scenario, by contender; the same index is the same round."""

    scenario: Scenario
    results: dict[str, list[Result]]


def rows(comparisons: Iterable[Comparison]) -> list[tuple[str, ...]]:
    """Return the table's rows, two for a scenario, under `HEADINGS`."""
    return [
        ("" if index else comparison.scenario.title, contender, *_cells(comparison, contender))
        for comparison in comparisons
        for index, contender in enumerate(comparison.results)
    ]


def _cells(comparison: Comparison, contender: str) -> tuple[str, str, str, str]:
    results = comparison.results[contender]
    entra = f"{_span([result.outcome.sockets for result in results])} to Entra"
    store = [result.outcome.store_sockets for result in results]
    return (
        _failures(comparison.scenario, results),
        _span([result.exchanges for result in results]),
        f"{entra}, {_span(store)} to Redis" if any(store) else entra,
        _time(comparison, contender),
    )


def _failures(scenario: Scenario, results: list[Result]) -> str:
    failures = [result.outcome.failures for result in results]
    count = f"{_span([sum(each.values()) for each in failures])} of {scenario.all_calls}"
    kinds = sorted({kind for each in failures for kind in each})
    return f"{count} ({', '.join(kinds)})" if kinds else count


def _time(comparison: Comparison, contender: str) -> str:
    """Return the time as a multiple of ours in the same round; a wait that Entra asked for also in seconds."""
    results, ours = comparison.results[contender], next(iter(comparison.results.values()))
    ratios = [one.outcome.seconds / base.outcome.seconds for one, base in zip(results, ours, strict=True)]
    text = "1" if results is ours else f"{median(ratios):.1f}"
    if comparison.scenario.throttled != 0:
        return f"{text} ({median(one.outcome.seconds for one in results):.1f} s)"
    return text if min(ratios) == max(ratios) else f"{text} ({min(ratios):.1f} to {max(ratios):.1f})"


def _span(values: list[int]) -> str:
    return str(min(values)) if min(values) == max(values) else f"{min(values)} to {max(values)}"


def circumstances() -> str:
    """Return when, on what and with which versions the figures were made."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    return (
        f"Made by `make bench ARGS=--obo` on {today}: {os.cpu_count()} cores, {memory} GiB, "
        f"Python {platform.python_version()}, FastMCP {version('fastmcp')}, azure-identity {version('azure-identity')}."
    )


def for_terminal(found: list[tuple[str, ...]]) -> Table:
    """Return the rows as a table of rich."""
    table = Table(title="The exchange, beside FastMCP's own", caption=circumstances())
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in found:
        table.add_row(*row)
    return table


def write(found: list[tuple[str, ...]], document: Path = DOCUMENT) -> None:
    """Put the rows between the marks of the document; what is missing of it is made."""
    lines = ["| " + " | ".join(row) + " |" for row in (HEADINGS, *found)]
    lines.insert(1, "|---" * len(HEADINGS) + "|")
    block = "\n".join([BEGIN, circumstances(), "", *lines, END])
    text = document.read_text() if document.exists() else NEW_DOCUMENT
    text = text if BEGIN in text else text + NEW_SECTION
    document.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: block, text, flags=re.DOTALL))
