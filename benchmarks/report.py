"""Turns results into the tables of `docs/performance.md`."""

from __future__ import annotations

import datetime
import platform
import re
import subprocess
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from math import isnan
from pathlib import Path
from statistics import median

from benchmarks.bench import ROOT, Measured, Timing
from benchmarks.contender import Contender
from benchmarks.contenders import OURS, PLAIN
from benchmarks.processes import Cores, machine
from benchmarks.rows import FACTORS, ROWS, Point
from benchmarks.runner import Results
from benchmarks.targets import Target, targets

DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- begin: bench -->", "<!-- end: bench -->"
Rows = list[list[str]]


def circumstances(cores: Cores, timing: Timing) -> str:
    """Return when, on what, of which commit and how the figures were made."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        f"Made by `make bench` on {today}, commit {_commit()}: {machine()}, Python {platform.python_version()}, "
        f"FastMCP {version('fastmcp')}, {timing.rounds} rounds of {timing.seconds:g} s a measurement."
    ]
    if cores.are_shared:
        lines.append(
            "**There was only one core**: the contender shared it with the callers and the stand-ins, so requests a "
            "second say little here; the processor time of a call is comparable."
        )
    return "\n".join(lines)


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(asked, check=True, capture_output=True, text=True)  # noqa: S603 - a fixed command
        return found.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def main_table(results: Results, contenders: Sequence[Contender]) -> Rows:
    """Return a row for each contender: each call, its start and its memory."""
    found = [["", *ROWS, "start", "memory"]]
    for contender in contenders:
        measured = results.measured[contender.name]
        cells = [_cell(measured.get(point, [])) for point in ROWS.values()]
        starts, memory = results.starts[contender.name], results.memory[contender.name]
        start = f"{median(starts):.1f} s" if starts else ""
        found.append([contender.title, *cells, start, f"{median(memory) / 2**20:.0f} MiB" if memory else ""])
    return found


def _cell(rounds: Sequence[Measured]) -> str:
    if not rounds:
        return ""
    rate, processor, p99 = (
        median(values) for values in zip(*((m.rate, m.processor, m.p99) for m in rounds), strict=True)
    )
    return f"{rate:,.0f}/s, {processor * 1e3:.2f} ms, p99 {p99 * 1e3:,.0f} ms{_errors(rounds)}"


def _errors(rounds: Sequence[Measured]) -> str:
    bad, good = sum(sum(m.errors.values()) for m in rounds), sum(m.calls for m in rounds)
    return f", **{bad / (bad + good):.1%} failed**" if bad else ""


def target_table(found: Iterable[Target]) -> Rows:
    """Return a row for each target, with what was measured and whether it holds."""
    rows = [["Row", "Figure", "Target", "Measured", ""]]
    for target in found:
        value = "" if isnan(target.value) else f"{target.value:.3g}{_unit(target)}"
        verdict = target.verdict if target.holds is not False else f"**{target.verdict}**"
        rows.append([target.row, target.figure, f"{target.bound} {target.limit:g}{_unit(target)}", value, verdict])
    return rows


def _unit(target: Target) -> str:
    return f" {target.unit}" if target.unit == "×" else target.unit


def factor_table(results: Results, factors: dict[str, dict[str, Point]], contender: Contender) -> Rows:
    """Return a row for each value of each factor."""
    rows = [["Factor", "Value", "Requests/s", "Processor a call", "Median", "p99", "Failed", "Other core"]]
    for factor, values in factors.items():
        for value, point in values.items():
            rounds = results.measured[contender.name].get(point, [])
            if rounds:
                rows.append([factor, value, *_factor_cells(rounds, point)])
    return rows


def _factor_cells(rounds: Sequence[Measured], point: Point) -> list[str]:
    middle = [
        median(each) for each in zip(*((m.rate, m.processor, m.p50, m.p99, m.beside) for m in rounds), strict=True)
    ]
    halves = [median(m.halves[index] for m in rounds) * 1e3 for index in (0, 1)]
    tail = f"{halves[0]:,.0f} ms before, {halves[1]:,.0f} ms after" if point.kills else f"{middle[3] * 1e3:,.0f} ms"
    bad, calls = sum(sum(m.errors.values()) for m in rounds), sum(m.calls for m in rounds)
    kinds = sorted({kind for m in rounds for kind in m.errors})
    failed = f"{bad:,} of {bad + calls:,} ({', '.join(kinds)})" if bad else "0"
    # The time of a killed process is gone with it.
    processor = "" if point.kills else f"{middle[1] * 1e3:.2f} ms"
    return [f"{middle[0]:,.0f}", processor, f"{middle[2] * 1e3:,.1f} ms", tail, failed, f"{middle[4]:.0%}"]


def count_table(results: Results, contenders: Sequence[Contender]) -> Rows:
    """Return a row for each contender: what its calls ask of the store and of Entra, and what a refresh takes."""
    rows = [["", "get_my_profile", "tools/list", "send_mail", "refresh", "refresh at Entra", "refresh takes", "memory"]]
    for contender in contenders:
        counts, taken = results.counts.get(contender.name), results.refreshing.get(contender.name)
        if counts is None or not taken:
            continue
        trips = [str(counts.round_trips[name]) for name in ("profile", "list", "send", "refresh")]
        seconds, processor = median(one.seconds for one in taken), median(one.processor for one in taken)
        time = f"{seconds * 1e3:.1f} ms, {processor * 1e3:.1f} ms of processor"
        crowded = f"{results.crowded[contender.name] / 2**20:.0f} MiB"
        rows.append([contender.title, *trips, str(counts.refresh_at_entra), time, crowded])
    return rows


def markdown(rows: Rows) -> str:
    """Return rows, the headings first, as a table."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join(lines)


def sections(results: Results, contenders: Sequence[Contender]) -> list[tuple[str, Rows]]:
    """Return all tables with their captions, without those that are empty."""
    compared = [contender for contender in contenders if contender.compared]
    found = [
        ("Targets", target_table(targets(results)) if OURS in contenders and PLAIN in contenders else []),
        ("Calls: requests a second, processor time a call, 99th percentile", main_table(results, contenders)),
        (
            f"Round trips to Redis, refreshes, and memory after {results.people:,} people",
            count_table(results, contenders),
        ),
        *((f"One factor at a time: {one.title}", factor_table(results, FACTORS, one)) for one in compared),
    ]
    return [(caption, rows) for caption, rows in found if len(rows) > 1]


def block(results: Results, contenders: Sequence[Contender], about: str, pictures: Iterable[tuple[str, str]]) -> str:
    """Return what stands between the marks of the document; `pictures` are paths and what they show."""
    parts = [about, *results.left_out]
    for caption, rows in sections(results, contenders):
        parts += [f"### {caption}", markdown(rows)]
    parts += [f"![{shows}]({path})" for path, shows in pictures]
    return "\n\n".join([BEGIN, *parts, END])


def write(text: str, document: Path = DOCUMENT) -> None:
    """Put the block between the marks of the document; ValueError when it has none."""
    before = document.read_text()
    if BEGIN not in before:
        raise ValueError(f"{document} has no mark {BEGIN}")
    document.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: text, before, flags=re.DOTALL))
