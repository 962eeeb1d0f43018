"""The exchange of this project against the one of FastMCP's `EntraOBOToken`, in the same run.

`make bench ARGS=--obo` runs it. Both face the same simulator, in a process of its own, over TLS. With `--print` the
document is left as it is.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.progress import Progress, TaskID

from benchmarks.exchange import report
from benchmarks.exchange.bench import Bench, running_bench
from benchmarks.exchange.contenders import CONTENDERS, Person
from benchmarks.exchange.people import sign_in
from benchmarks.exchange.scenarios import ALL, Scenario


def main(options: Sequence[str] = ()) -> None:
    """Measure everything, print the table and, without the option `--print`, write it down."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        comparisons = _compare_all()
    except KeyboardInterrupt:
        sys.exit(130)
    found = report.rows(comparisons)
    # A pipe or a file has no width of its own.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(report.for_terminal(found))
    if "--print" not in options:
        report.write(found)


def _stop(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)  # passes through the `finally` that ends the programs


def _compare_all() -> list[report.Comparison]:
    with (
        Progress(console=Console(stderr=True)) as progress,
        tempfile.TemporaryDirectory(prefix="m365-bench-") as folder,
        running_bench(Path(folder)) as bench,
    ):
        count = max(scenario.people for scenario in ALL)
        signing_in = progress.add_task("Signing people in", total=count)
        people = asyncio.run(sign_in(bench.simulator, count, lambda: progress.advance(signing_in)))
        total = sum(scenario.rounds for scenario in ALL) * len(CONTENDERS)
        measuring = progress.add_task("Measuring", total=total)
        return [_compare(bench, scenario, people, progress, measuring) for scenario in ALL]


def _compare(
    bench: Bench, scenario: Scenario, people: list[Person], progress: Progress, task: TaskID
) -> report.Comparison:
    comparison = report.Comparison(scenario, {contender: [] for contender in CONTENDERS})
    for number in range(scenario.rounds):
        # Whoever comes second finds a warmer machine, so they take turns.
        for contender in list(CONTENDERS)[:: 1 if number % 2 == 0 else -1]:
            comparison.results[contender].append(bench.run(contender, scenario, people))
            progress.advance(task)
    return comparison


if __name__ == "__main__":
    main(sys.argv[1:])
