"""What is measured: the conditions of each row and of each factor. Values only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from benchmarks.contender import HANDSHAKE, Contender, Revision


@dataclass(frozen=True)
class Setup:
    """How a contender is started.

    Attributes:
        replicas: how many of it, behind one public URL.
        workers: processes of each replica.
        graph_milliseconds: how long Graph takes, beside its own work.
    """

    replicas: int = 1
    workers: int = 1
    graph_milliseconds: int = 0


@dataclass(frozen=True)
class Point:
    """One set of conditions.

    Attributes:
        call: the name of what is called, as in `Contender.calls`.
        callers: how many connections call, each with one request at a time.
        people: how many people they call for.
        own: whether each caller calls for one person only; otherwise they take turns.
        revision: of the protocol; None is the newest that the contender speaks.
        kills: whether a replica is killed half-way.
        setup: how the contender is started.
    """

    call: str = "profile"
    callers: int = 32
    people: int = 100
    own: bool = False
    revision: Revision | None = None
    kills: bool = False
    setup: Setup = Setup()


BASE = Point()
ROWS: dict[str, Point] = {
    "get_my_profile, 32 callers": BASE,
    "tools/list, 32 callers": replace(BASE, call="list"),
    "send_mail, 16 people at once": Point(call="send", callers=16, people=16, own=True),
    "send_mail, one by one": Point(call="send", callers=1, people=1, own=True),
}
CALLERS = (1, 8, 32, 128)
PEOPLE = (1, 100, 2000)
REPLICAS = (1, 3)
WORKERS = (1, 2)
GRAPH_MILLISECONDS = (0, 100)
REVISIONS: tuple[Revision | None, ...] = (None, HANDSHAKE)
FACTORS: dict[str, dict[str, Point]] = {
    "callers": {str(count): replace(BASE, callers=count) for count in CALLERS},
    "people": {f"{count:,}": replace(BASE, people=count) for count in PEOPLE},
    "replicas": {str(count): replace(BASE, setup=Setup(replicas=count)) for count in REPLICAS},
    "workers": {str(count): replace(BASE, setup=Setup(workers=count)) for count in WORKERS},
    "revision": {name or "newest": replace(BASE, revision=name) for name in REVISIONS},
    "Graph takes": {
        f"{count} ms": replace(BASE, setup=Setup(graph_milliseconds=count)) for count in GRAPH_MILLISECONDS
    },
    "of 3 replicas": {
        "none is killed": replace(BASE, setup=Setup(replicas=3)),
        "one is killed half-way": replace(BASE, setup=Setup(replicas=3), kills=True),
    },
}
"""One factor at a time, from the base point."""


def everything() -> Iterator[Point]:
    """Return the cross product of all factors but the killed replica (`make bench ARGS=--all`)."""
    for replicas, workers, milliseconds in product(REPLICAS, WORKERS, GRAPH_MILLISECONDS):
        setup = Setup(replicas, workers, milliseconds)
        for callers, people, revision in product(CALLERS, PEOPLE, REVISIONS):
            yield replace(BASE, callers=callers, people=people, revision=revision, setup=setup)


def points_for(contender: Contender, *, factors: bool, cross_product: bool = False) -> list[Point]:
    """Return the different points that this contender can be measured at, the base first."""
    points = list(ROWS.values())
    if factors:
        points += [point for values in FACTORS.values() for point in values.values()]
    if cross_product:
        points += everything()
    return [point for point in dict.fromkeys(points) if _fits(point, contender)]


def _fits(point: Point, contender: Contender) -> bool:
    return (
        point.call in contender.calls
        and (point.revision is None or point.revision in contender.revisions)
        and (point.setup.workers == 1 or contender.has_workers())
    )
