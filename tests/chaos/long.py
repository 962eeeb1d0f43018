"""The long form of the chaos suite: every phase again and again in random order, and a table in docs/reliability.md.

Example: `python -m tests.chaos.long --minutes 10 --seed 7`
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.chaos.phases import FLUSH, LONG, SHORT, Phase
from tests.chaos.report import Conditions, write_report
from tests.chaos.run import Outcome, run_phase
from tests.chaos.world import World, opened
from tests.e2e.programs import end_all, start_simulator


def main() -> None:
    """Run it, write the table, and exit 1 when a promise was broken."""
    options = _options()
    console = Console()
    console.print(f"[bold]Chaos[/]: {options.clients} clients, {options.minutes:g} minutes, seed {options.seed}")
    started = time.monotonic()
    try:
        outcomes = asyncio.run(_run(options, console))
    finally:
        end_all(shared=True)
    if not options.only and not options.short:
        minutes = (time.monotonic() - started) / 60
        arguments = f"--minutes {options.minutes:g} --seed {options.seed} --clients {options.clients}"
        write_report(outcomes, Conditions(arguments, options.clients, minutes))
    sys.exit(any(outcome.problems for outcome in outcomes))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="begin no further round of phases after this")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10_000), help="decides the order")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pace", type=float, default=50, help="calls a second of all clients together")
    parser.add_argument("--only", default="", help="only phases with this in their name, and no table")
    parser.add_argument("--short", action="store_true", help="what `make test` runs, and no table")
    return parser.parse_args()


async def _run(options: argparse.Namespace, console: Console) -> list[Outcome]:
    chance = random.Random(options.seed)  # noqa: S311 - repeatable on purpose
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name)
        simulator = start_simulator(folder)
        async with opened(folder, simulator, clients=options.clients, pace=options.pace, chance=chance) as world:
            return [await _show(world, phase, console) for phase in _order(options, chance)]


def _order(options: argparse.Namespace, chance: random.Random) -> Iterator[Phase]:
    """Yield rounds of all phases, each in a new order, while there is time; at last everything is forgotten."""
    if options.short:
        yield from (*SHORT, FLUSH)
        return
    end = time.monotonic() + 60 * options.minutes
    chosen = [phase for phase in LONG if options.only in phase.name]
    while chosen and time.monotonic() < end:
        yield from chance.sample(chosen, len(chosen))
    if options.only in FLUSH.name:
        yield FLUSH


async def _show(world: World, phase: Phase, console: Console) -> Outcome:
    with console.status(phase.name):
        outcome = await run_phase(world, phase)
    tally, mark = outcome.tally, "[red]✘[/]" if outcome.problems else "[green]✔[/]"
    console.print(
        f"{mark} {phase.name}: {outcome.seconds:.0f} s, {len(tally.answers)} calls, {tally.count(200)}×200, "
        f"{tally.count(503)}×503, {tally.told_later} told later, slowest {tally.slowest:.1f} s, "
        f"{outcome.exchanges} exchanges, {outcome.refreshes} refreshes",
        soft_wrap=True,
    )
    for problem in outcome.problems:
        console.print(f"    [red]{problem}[/]")
    return outcome


if __name__ == "__main__":
    main()
