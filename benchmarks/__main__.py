"""Measures this server beside others, and writes tables and plots into `docs/performance.md` (`make bench`)."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

from benchmarks import report
from benchmarks import results as results_file
from benchmarks.bench import Timing, running_bench
from benchmarks.contender import Contender
from benchmarks.contenders import ALL
from benchmarks.exchange.__main__ import main as compare_exchanges
from benchmarks.processes import Cores, choose_cores
from benchmarks.rows import Point, points_for
from benchmarks.runner import Results, Run

QUICK = Timing(warm_up=0.3, seconds=1.0, rounds=1)
QUICK_PEOPLE = 4
MANY = 1_000_000


def main() -> None:
    """Do what the command line says."""
    options = _options()
    signal.signal(signal.SIGTERM, _stop)
    if options.obo:
        compare_exchanges([] if not options.print else ["--print"])
        return
    progress = Console(stderr=True)
    began = time.monotonic()
    timing, cores = QUICK if options.quick else Timing(), choose_cores()
    present = [one for one in ALL if not options.only or one.name in options.only]
    left_out = [sentence for one in present if (sentence := one.obstacle())]
    contenders = [one for one in present if not one.obstacle()]
    points = {one.name: _points(one, options) for one in contenders}

    def step(what: str) -> None:
        progress.print(f"{time.monotonic() - began:6.0f} s  {what}")

    most = QUICK_PEOPLE if options.quick else MANY
    results = _run(contenders, points, timing, cores, step, most)
    results.left_out += left_out + _without_workers(contenders)
    _show(results, contenders)
    if not (options.print or options.quick or options.only):
        from benchmarks.plots import draw  # matplotlib is in .venv-bench only

        about = report.circumstances(cores, timing)
        results_file.write(results, about)
        report.write(report.block(results, contenders, about, draw(results, contenders)))
    step("done")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--print", action="store_true", help="leave the document as it is")
    parser.add_argument("--quick", action="store_true", help="a second a row, one round; prints, to see that it works")
    parser.add_argument("--all", action="store_true", help="all combinations of the factors; takes hours")
    parser.add_argument("--obo", action="store_true", help="compare the exchanges, into docs/reliability.md")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[one.name for one in ALL], help="some contenders")
    return parser.parse_args()


def _stop(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)  # passes through the `finally` that ends the programs


def _points(contender: Contender, options: argparse.Namespace) -> list[Point]:
    if options.quick:
        return points_for(contender, factors=False)
    return points_for(contender, factors=contender.compared, cross_product=options.all and contender.compared)


def _run(
    contenders: list[Contender],
    points: dict[str, list[Point]],
    timing: Timing,
    cores: Cores,
    step: Callable[[str], None],
    most_people: int,
) -> Results:
    with tempfile.TemporaryDirectory(prefix="m365-bench-") as folder, running_bench(Path(folder), cores) as bench:
        try:
            return Run(bench, contenders, points, timing, step, most_people).everything()
        except KeyboardInterrupt:
            sys.exit(130)


def _without_workers(contenders: list[Contender]) -> list[str]:
    can = [one for one in contenders if one.compared and not one.has_workers()]
    return [f"Not measured with two workers, because it has no such option: {one.title}." for one in can]


def _show(results: Results, contenders: list[Contender]) -> None:
    # A pipe or a file has no width of its own.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    for caption, (headings, *rows) in report.sections(results, contenders):
        table = Table(*headings, title=caption)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for sentence in results.left_out:
        console.print(sentence)


if __name__ == "__main__":
    main()
