"""The model of docs/scaling.md: its constants, and the table that follows from them.

`tests/chaos/test_costs.py` measures the costs and the bytes. `python -m tests.scaling` writes the table.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

DOCUMENT = Path(__file__).parents[1] / "docs" / "scaling.md"
BEGIN, END = "<!-- scaling:begin -->", "<!-- scaling:end -->"


class Cost(NamedTuple):
    """What one request of a client costs."""

    round_trips: int
    commands: int
    graph: int
    entra: int


READ = Cost(1, 1, 1, 0)
SEND = Cost(5, 28, 1, 0)
REFRESH = Cost(6, 9, 0, 1)
PERSON_BYTES = 6_950  # one sign-in with one client, of the simulator
SEND_BYTES = 1_120  # one send with a key, for a day

# Assumptions; replace them by your own.
ACTIVE = 0.3  # of the people, in the busiest hour
READS, SENDS, REFRESHES = 20, 4, 1  # of an active person in that hour
BUSY_HOURS = 6  # the sends of a day, in such hours
CLIENTS = 2  # of a person
TOKENS = 2  # Microsoft's tokens are longer than the simulator's
USED = 0.5  # of a core, and of Redis's memory, so that one replica or a burst has room
READ_MILLISECONDS, SEND_MILLISECONDS = 1.9, 6.4  # of a core, as docs/performance.md has them
REPLICAS = 2  # at least


class Size(NamedTuple):
    """What so many people need in the busiest hour."""

    people: int
    calls: float  # a second, as all the following
    graph: float
    entra: float
    commands: float
    cores: int
    redis_gigabytes: float


def size(people: int) -> Size:
    """Return what so many people need."""
    reads, sends, refreshes = (people * ACTIVE * number / 3600 for number in (READS, SENDS, REFRESHES))
    busy = (reads * READ_MILLISECONDS + (sends + refreshes) * SEND_MILLISECONDS) / 1000
    memory = people * (CLIENTS * TOKENS * PERSON_BYTES + ACTIVE * SENDS * BUSY_HOURS * SEND_BYTES)
    return Size(
        people,
        reads + sends,
        reads * READ.graph + sends * SEND.graph,
        people * ACTIVE * CLIENTS / 3600 + refreshes * REFRESH.entra,  # an exchange for each token, which lasts an hour
        reads * READ.commands + sends * SEND.commands + refreshes * REFRESH.commands,
        max(REPLICAS, math.ceil(busy / USED)),
        memory / USED / 1e9,
    )


def table() -> str:
    """Return the table of the document."""
    head = "| People | Calls/s | To Graph/s | To Entra/s | Redis commands/s | Replicas of a core | Redis |"
    rows = [
        f"| {one.people:,} | {one.calls:,.1f} | {one.graph:,.1f} | {one.entra:,.1f} | {one.commands:,.0f} "
        f"| {one.cores} | {one.redis_gigabytes:,.1f} GB |"
        for one in map(size, (1_000, 100_000, 1_000_000))
    ]
    return "\n".join([head, "|---:|---:|---:|---:|---:|---:|---:|", *rows])


def with_table(text: str) -> str:
    """Return the document with the table as the constants have it."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
