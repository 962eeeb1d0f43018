"""Runs the measurements: in each round every contender once, in the opposite order of the round before."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from benchmarks.bench import Bench, Measured, Replica, Timing
from benchmarks.contender import HANDSHAKE, Contender
from benchmarks.counts import Counts, Refreshing, count, time_refreshes
from benchmarks.load import Load
from benchmarks.processes import on_core, resident_bytes
from benchmarks.requests import requests_of
from benchmarks.rows import BASE, Point, Setup
from benchmarks.sign_ins import Tokens, add_people, begin_sessions, graph_tokens, sign_in_all

GRAPH_PEOPLE = 100  # who bring tokens for Graph itself
HELPS = 5


@dataclass
class Results:
    """What was measured, by contender.

    Attributes:
        measured: at each point, one for each round.
        starts: seconds until the first answer, one for each round.
        memory: resident bytes after the rows, one for each round.
        crowded: resident bytes after everybody has signed in and called.
        refreshing: what a refresh takes, one for each round.
        counts: what a call asks of the store and of Entra.
        help_seconds: of `m365-mcp --help`.
        left_out: sentences that say what was not measured.
        people: how many signed in.
    """

    measured: dict[str, dict[Point, list[Measured]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    starts: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    crowded: dict[str, int] = field(default_factory=dict)
    refreshing: dict[str, list[Refreshing]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[str, Counts] = field(default_factory=dict)
    help_seconds: list[float] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    people: int = 0


@dataclass
class Run:
    """One run of the benchmark.

    Args:
        bench: what all contenders share.
        contenders: in the order of the first round.
        points: of each contender, by name.
        timing: of each measurement.
        on_step: is told what begins.
        most_people: who sign in, however many a point has.
    """

    bench: Bench
    contenders: Sequence[Contender]
    points: dict[str, list[Point]]
    timing: Timing
    on_step: Callable[[str], object]
    most_people: int = 1_000_000
    results: Results = field(default_factory=Results)
    _tokens: dict[str, list[Tokens]] = field(default_factory=dict)
    _spare: dict[str, Tokens] = field(default_factory=dict)  # of a person whose tokens are renewed

    def everything(self) -> Results:
        """Measure all of it."""
        self._sign_in()
        for number in range(self.timing.rounds):
            for contender in self.contenders[:: 1 if number % 2 == 0 else -1]:
                self.on_step(f"round {number + 1} of {self.timing.rounds}: {contender.title}")
                self._one_round(contender)
        self._count()
        self.results.help_seconds = [_help_seconds(self.bench.cores.contender) for _ in range(HELPS)]
        return self.results

    def _sign_in(self) -> None:
        wanted = max((point.people for points in self.points.values() for point in points), default=1)
        need = min(wanted, self.most_people)
        self.on_step(f"{need:,} people are added")
        people = add_people(self.bench.simulator, need + 1)
        passed_on = asyncio.run(graph_tokens(self.bench.simulator, people[: min(need, GRAPH_PEOPLE)]))
        self.bench.graph_token = passed_on[0].access
        for contender in self.contenders:
            self._tokens[contender.name] = passed_on if contender.sign_in == "graph" else []
            if contender.sign_in == "oauth":
                self.on_step(f"{need:,} people sign in at {contender.title}")
                self._sign_in_at(contender, people)
        self.results.people = need

    def _sign_in_at(self, contender: Contender, people: list[str]) -> None:
        """Sign everybody in at a fresh process, let everybody call once, and note its memory."""
        place = self.bench.place(contender)
        with self.bench.running(contender, place) as replicas:
            *tokens, spare = asyncio.run(sign_in_all(place.public_url, place.ca_file, people))
            self._tokens[contender.name], self._spare[contender.name] = tokens, spare
            self._measure(contender, replicas, BASE, len(tokens), Timing(0, 0.2))
            self.results.crowded[contender.name] = resident_bytes(replicas[0].pid)

    def _one_round(self, contender: Contender) -> None:
        points = sorted(self.points[contender.name], key=lambda point: point.kills)  # what kills comes last
        for setup, chosen in groupby(sorted(points, key=lambda point: str(point.setup)), key=lambda point: point.setup):
            self._one_setup(contender, setup, list(chosen))

    def _one_setup(self, contender: Contender, setup: Setup, points: list[Point]) -> None:
        place = self.bench.place(contender, graph_milliseconds=setup.graph_milliseconds, workers=setup.workers)
        with self.bench.running(contender, place, setup.replicas) as replicas:
            for point in points:
                found = self._measure(contender, replicas, point, point.people, self.timing)
                self.results.measured[contender.name][point].append(found)
            if setup == BASE.setup:
                self._note_base(contender, replicas[0])

    def _note_base(self, contender: Contender, replica: Replica) -> None:
        self.results.starts[contender.name].append(replica.started_after)
        self.results.memory[contender.name].append(resident_bytes(replica.pid))
        if contender.name in self._spare:
            found, self._spare[contender.name] = asyncio.run(time_refreshes(replica, self._spare[contender.name]))
            self.results.refreshing[contender.name].append(found)

    def _measure(
        self, contender: Contender, replicas: Sequence[Replica], point: Point, people: int, timing: Timing
    ) -> Measured:
        tokens = self._tokens[contender.name][:people]
        url = f"{replicas[0].place.public_url}/mcp"
        revision = point.revision or contender.revision
        if revision == HANDSHAKE:
            tokens = asyncio.run(begin_sessions(url, tokens))
        source = requests_of(contender.calls[point.call], tokens, revision, url, own=point.own)
        load = Load([replica.place.port for replica in replicas], point.callers, source)
        return self.bench.load(replicas, load, timing, len(tokens) * len(replicas), kills=point.kills)

    def _count(self) -> None:
        for contender in self.contenders:
            if contender.name in self._spare:
                self.on_step(f"round trips of {contender.title}")
                person = self._spare[contender.name].person
                self.results.counts[contender.name] = asyncio.run(count(self.bench, contender, person))


def _help_seconds(core: int) -> float:
    command = Path(sys.executable).parent / "m365-mcp"
    began = time.perf_counter()
    with on_core(core):
        subprocess.run([str(command), "--help"], check=True, capture_output=True)  # noqa: S603 - our own program
    return time.perf_counter() - began
