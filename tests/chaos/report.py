"""Writes what a long run found into docs/reliability.md, between the markers named chaos. Pure but for that file."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.run import Outcome
from tests.chaos.tally import CUT, NO_ANSWER

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin: chaos -->", "<!-- end: chaos -->"
HEAD = (
    "| Phase | Times | Calls | 200 | 503 | Told later in a 200 | Slowest answer | Forced sign-ins | Wrong answers "
    "| No answer | Broken off | Exchanges | Refreshes |"
)


@dataclass(frozen=True)
class Conditions:
    """What is needed to repeat a run."""

    arguments: str
    clients: int
    minutes: float

    def __str__(self) -> str:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return (
            f'`make chaos ARGS="{self.arguments}"`, {datetime.now(UTC):%Y-%m-%d}, '
            f"{self.minutes:.0f} minutes, {self.clients} clients, 3 servers, Python {platform.python_version()}, "
            f"a machine with {os.cpu_count()} cores and {memory:.0f} GiB for everything together."
        )


def write_report(outcomes: Sequence[Outcome], conditions: Conditions, document: Path = DOCUMENT) -> None:
    """Replace what stands between the markers."""
    text = f"{BEGIN}\n{conditions}\n\n{table(outcomes)}\n{END}"
    old = document.read_text()
    document.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: text, old, flags=re.DOTALL))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return one row for each kind of phase, all its runs together."""
    by_name: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_name.setdefault(outcome.phase.name, []).append(outcome)
    rows = [_row(name, runs) for name, runs in by_name.items()]
    rows.append(_row("**all**", list(outcomes)))
    return "\n".join([HEAD, "|---" + "|---:" * (HEAD.count("|") - 2) + "|", *rows])


def _row(name: str, runs: list[Outcome]) -> str:
    tallies = [run.tally for run in runs]
    wrong = sum(len(run.wrong) for run in runs)
    cells: list[int | str] = [
        len(runs),
        sum(len(tally.answers) for tally in tallies),
        *(sum(tally.count(status) for tally in tallies) for status in (200, 503)),
        sum(tally.told_later for tally in tallies),
        f"{max(tally.slowest for tally in tallies):.1f} s",
        sum(len(tally.forced_sign_ins) for tally in tallies),
        wrong,
        *(sum(tally.count(status) for tally in tallies) for status in (NO_ANSWER, CUT)),
        sum(run.exchanges for run in runs),
        sum(run.refreshes for run in runs),
    ]
    return f"| {name} | " + " | ".join(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells) + " |"
