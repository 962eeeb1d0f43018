"""Counts that somebody without the key sets lower, and the part that each replica has counted itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from m365_mcp.storage.counter_floors import FlooredCounters
from m365_mcp.storage.counters import COLLECTION, Change, Counters, LocalCounters
from m365_mcp.storage.newest_seen import RollbackReports, StoreRolledBack
from m365_mcp.storage.sliding_counts import Addition, Counted, SlidingCounts, Window
from tests.backends import make_counters

HOUR, DAY = Window("h", 3600, 300), Window("d", 86400, 3600)
NOON = 1_800_000_000.0


class Held:
    """Counters that execute a request when the test lets them, and answer a request when it lets them, in any order."""

    def __init__(self, under: Counters) -> None:
        self.under = under
        self.steps: list[tuple[asyncio.Event, asyncio.Event]] = []

    async def add(self, changes: Sequence[Change]) -> list[dict[str, int]]:
        execute, answer = asyncio.Event(), asyncio.Event()
        self.steps.append((execute, answer))
        await execute.wait()
        found = await self.under.add(changes)
        await answer.wait()
        return found

    async def drop(self, key: str, names: Sequence[str]) -> None:
        await self.under.drop(key, names)


class Replica:
    """One replica's counts in a store that it shares."""

    def __init__(self, store: Counters) -> None:
        self.now = NOON
        self.told: list[StoreRolledBack] = []
        floored = FlooredCounters(store, RollbackReports([self.told.append]), lambda: self.now)
        self.counts = SlidingCounts(floored, lambda: self.now)

    async def count(self, number: int = 1) -> Counted:
        [counted] = await self.counts.add(Addition("{a}", (HOUR, DAY), {"m": number} if number else {}))
        return counted

    async def counted(self) -> tuple[int, int]:
        read = await self.count(0)
        return read.before(HOUR, "m"), read.before(DAY, "m")


async def forget(store: LocalCounters) -> None:
    """Do what a writer without the key can do: delete the counts."""
    await store._store.delete("{a}", collection=COLLECTION)


async def test_h10_deleted_counts_are_as_high_as_this_replica_has_counted() -> None:
    """The part of a replica stays counted there, goes on, and is told once; another replica knows its own part."""
    store = make_counters()
    one, other = Replica(store), Replica(store)
    for _ in range(5):
        await one.count()
    await other.count(3)
    await forget(store)
    found = [await replica.counted() for replica in (one, other)]
    await one.count(2)

    assert found == [(5, 5), (3, 3)]
    assert await one.counted() == (7, 7)
    assert (one.told, other.told) == ([StoreRolledBack(COLLECTION, "{a}", "lower")],) * 2


async def test_h10_what_was_taken_back_counts_no_more() -> None:
    """A floor falls with what this replica takes back, and nothing is told in honest use."""
    store = make_counters()
    one, other = Replica(store), Replica(store)
    await one.count(4)
    mine, theirs = await one.count(2), await other.count(8)
    await one.counts.take_back(mine)
    await other.counts.take_back(theirs)

    assert [await replica.counted() for replica in (one, other)] == [(4, 4)] * 2
    assert one.told == other.told == []


async def test_counts_leave_the_windows_as_before() -> None:
    """What leaves a window leaves it for good, also where another replica has deleted it from the store."""
    store = make_counters()
    one, other = Replica(store), Replica(store)
    await one.count(4)
    seen = []
    for passed in (0, 3600, 3600 + 300, 3600 + 600, 86400 + 3600, 86400 + 7200):
        one.now = other.now = NOON + passed
        seen.append((await other.counted(), await one.counted()))

    assert seen[:2] == [((4, 4), (4, 4))] * 2
    assert seen[3] == ((0, 4), (0, 4))
    assert seen[-1] == ((0, 0), (0, 0))
    assert one.told == []


@pytest.mark.parametrize("order", ["addition first", "taken back first"])
async def test_count_that_is_taken_back_meanwhile_is_no_rollback(order: str) -> None:
    """An addition that runs beside the end of another one counts neither too much nor too little, in either order."""
    held = Held(make_counters())
    one = Replica(held)
    first = asyncio.create_task(one.count(5))
    await _let(held, 0)
    counted = await first
    adding = asyncio.create_task(one.count(1))
    taking = asyncio.create_task(one.counts.take_back(counted))
    await asyncio.sleep(0)
    for step in (1, 2) if order == "addition first" else (2, 1):
        await _let(held, step)
    added = await adding
    await taking

    assert added.before(HOUR, "m") == (5 if order == "addition first" else 0)
    assert one.told == []


async def test_answers_that_arrive_in_another_order_are_no_rollback() -> None:
    """Two additions whose answers overtake each other see each other once, as the store has executed them."""
    held = Held(make_counters())
    one = Replica(held)
    additions = [asyncio.create_task(one.count(1)) for _ in range(2)]
    await asyncio.sleep(0)
    for execute, _ in held.steps:
        execute.set()
        await asyncio.sleep(0.01)
    for _, answer in reversed(held.steps):
        answer.set()
        await asyncio.sleep(0)

    assert [(await added).before(HOUR, "m") for added in additions] == [0, 1]
    assert one.told == []


async def _let(held: Held, step: int) -> None:
    """Let a request be executed and answered."""
    while len(held.steps) <= step:  # noqa: ASYNC110 - the request is about to be made
        await asyncio.sleep(0)
    for event in held.steps[step]:
        event.set()
    for _ in range(20):
        await asyncio.sleep(0)
