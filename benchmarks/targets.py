"""The targets of this server, as ratios within one run, and what was measured of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import isnan, nan
from statistics import median
from typing import Literal

from benchmarks.bench import Measured
from benchmarks.contenders import BARE, BARE_REQUEST, OURS, PLAIN
from benchmarks.rows import BASE, FACTORS, ROWS, Point
from benchmarks.runner import Results
from benchmarks.servers.softeria import SOFTERIA

PROFILE, LIST, SEND, SEND_ALONE = ROWS.values()
AtLeastOrMost = Literal["≥", "≤"]


@dataclass(frozen=True)
class Target:
    """One target.

    Attributes:
        row: what it is about.
        figure: which figure, and compared with what.
        bound: whether it must be at least or at most the limit.
        limit: a ratio, a count or seconds.
        value: what was measured; not a number when it was not.
        unit: of limit and value, after the number; a ratio has the sign of multiplication.
    """

    row: str
    figure: str
    bound: AtLeastOrMost
    limit: float
    value: float
    unit: str = "×"

    @property
    def holds(self) -> bool | None:
        """Whether it holds; None when nothing was measured."""
        if isnan(self.value):
            return None
        return self.value >= self.limit if self.bound == "≥" else self.value <= self.limit

    @property
    def verdict(self) -> str:
        """Say whether it holds, or by how much of the limit it is missed."""
        if self.holds is None:
            return "not measured"
        return "holds" if self.holds else f"misses by {abs(self.value / self.limit - 1):.0%}"


def middle(results: Results, name: str, point: Point, figure: Callable[[Measured], float]) -> float:
    """Return the median of a figure over all rounds; not a number when it was not measured."""
    found = results.measured.get(name, {}).get(point, [])
    return median(figure(each) for each in found) if found else nan


def _rate(each: Measured) -> float:
    return each.rate


def _processor(each: Measured) -> float:
    return each.processor


def _over(results: Results, other: str, point: Point, figure: Callable[[Measured], float]) -> float:
    ours, theirs = (middle(results, name, point, figure) for name in (OURS.name, other))
    return ours / theirs if theirs else nan


def targets(results: Results) -> list[Target]:
    """Return all of them, in the order of the table."""
    return [*_calls(results), *_counts(results), *_starting(results), *_evenness(results)]


def _calls(results: Results) -> Iterator[Target]:
    names = {point: name for name, point in ROWS.items()}
    plain, asking, bare = "the plain build", "bare FastMCP with one request", "bare FastMCP"
    compared = [
        (PROFILE, PLAIN.name, plain, "≥", 2.1, _rate),
        (PROFILE, PLAIN.name, plain, "≤", 0.48, _processor),
        (PROFILE, BARE_REQUEST.name, asking, "≥", 0.85, _rate),
        (LIST, PLAIN.name, plain, "≥", 1.8, _rate),
        (LIST, BARE.name, bare, "≥", 0.9, _rate),
        (SEND, PLAIN.name, plain, "≥", 1.5, _rate),
        (SEND, PLAIN.name, plain, "≤", 0.75, _processor),
        (SEND, SOFTERIA.name, "Softeria (stretch)", "≥", 1.0, _rate),
        (SEND_ALONE, PLAIN.name, plain, "≥", 1.0, _rate),
    ]
    for point, other, title, bound, limit, figure in compared:
        what = "requests/s" if figure is _rate else "processor"
        yield Target(names[point], f"{what} of {title}", bound, limit, _over(results, other, point, figure))  # type: ignore[arg-type]


def _counts(results: Results) -> Iterator[Target]:
    found = results.counts.get(OURS.name)
    trips = found.round_trips if found else {}
    for row, name, limit in (("refresh", "refresh", 6), ("warm reading call", "profile", 1), ("warm send", "send", 8)):
        yield Target(row, "round trips to Redis", "≤", limit, trips.get(name, nan), "")
    yield Target("refresh", "requests to Entra", "≤", 1, found.refresh_at_entra if found else nan, "")


def _starting(results: Results) -> Iterator[Target]:
    ours, plain = (_median(results.starts.get(name, [])) for name in (OURS.name, PLAIN.name))
    yield Target("cold start", "time of the plain build", "≤", 0.7, ours / plain)
    yield Target("m365-mcp --help", "time", "≤", 0.4, _median(results.help_seconds), " s")
    memory = [results.crowded.get(name, nan) for name in (OURS.name, PLAIN.name)]
    people = f"memory after {results.people:,} people"
    yield Target(people, "resident memory of the plain build", "≤", 1.1, memory[0] / memory[1])


def _evenness(results: Results) -> Iterator[Target]:
    """Return the targets that compare this server with itself."""
    for factor in ("people", "replicas"):
        each = [middle(results, OURS.name, point, _processor) for point in FACTORS[factor].values()]
        spread = max(each) / min(each) if not any(isnan(one) for one in each) else nan
        values = list(FACTORS[factor])
        yield Target(f"{values[0]} to {values[-1]} {factor}", "processor, most of least", "≤", 1.15, spread)
    tail = middle(results, OURS.name, BASE, lambda each: each.p99 / each.p50)
    yield Target("get_my_profile, 32 callers", "99th percentile of the median", "≤", 2.5, tail)
    one, two = FACTORS["workers"].values()
    cost = middle(results, OURS.name, two, _processor) / middle(results, OURS.name, one, _processor)
    yield Target("two workers", "processor of one worker", "≤", 1.1, cost)
    least = middle(results, OURS.name, two, lambda each: each.shares[1] / (each.shares[0] + each.shares[1]))
    yield Target("two workers", "share of the less busy worker", "≥", 0.4, least)


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return median(found) if found else nan
