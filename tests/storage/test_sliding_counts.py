"""Sliding windows: what counts, for how long, and how long to wait."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from m365_mcp.storage.counters import LocalCounters
from m365_mcp.storage.sliding_counts import Addition, Counted, SlidingCounts, Window
from tests.backends import make_counters

HOUR, DAY = Window("h", 3600, 60), Window("d", 86400, 900)
NOON = 1_000_000 * 60.0


class Clock:
    """A clock that the test moves."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def added(counts: SlidingCounts, *, key: str = "{a}", number: int = 1) -> Counted:
    [counted] = await counts.add(Addition(key, (HOUR, DAY), {"m": number}))
    return counted


async def test_what_was_added_counts_for_the_window_and_a_bucket_at_most() -> None:
    """An hour later it counts, a bucket after that no more; the day goes on counting it."""
    clock = Clock(NOON + 59)
    counts = SlidingCounts(make_counters(), clock)
    await added(counts, number=3)

    seen = []
    for passed in (0, 3599, 3600, 3600 + 60, 86399, 86400 + 900):
        clock.now = NOON + 59 + passed
        [read] = await counts.add(Addition("{a}", (HOUR, DAY)))
        seen.append((read.before(HOUR, "m"), read.before(DAY, "m")))

    assert seen == [(3, 3), (3, 3), (3, 3), (0, 3), (0, 3), (0, 0)]


async def test_wait_ends_when_there_is_room() -> None:
    """The oldest buckets go first, as many as are needed; a second too early nothing fits, and then it does."""
    clock = Clock()
    counts = SlidingCounts(make_counters(), clock)
    for number in (2, 3, 4):
        await added(counts, number=number)
        clock.now += 600
    waits = [(await added(counts, number=0)).wait(HOUR, "m", most) for most in (9, 8, 7, 6, 4, 3)]
    three = await added(counts, number=3)
    await counts.take_back(three)
    wait = three.wait(HOUR, "m", 9)
    clock.now += wait - 1
    too_early = await added(counts, number=3)
    await counts.take_back(too_early)
    clock.now += 1

    assert waits == [0, 1860, 1860, 2460, 2460, 3060]
    assert wait == 2460
    assert too_early.wait(HOUR, "m", 9) == 1
    assert (await added(counts, number=3)).wait(HOUR, "m", 9) == 0


async def test_what_is_taken_back_does_not_count() -> None:
    """It goes out of the bucket it was added to; taken back after the counters were lost, it leaves no credit."""
    clock = Clock()
    counters = make_counters()
    counts = SlidingCounts(counters, clock)
    counted = await added(counts, number=5)
    clock.now += 600
    await counts.take_back(counted)
    again = await added(counts)
    await counts.take_back(counted)

    assert again.before(HOUR, "m") == 0
    assert (await added(counts)).before(HOUR, "m") == 1


async def test_store_holds_the_buckets_of_the_windows_only() -> None:
    """However long somebody goes on, the counters of one key stay below a bound; names of nobody's are deleted."""
    clock, counters = Clock(), make_counters()
    counts = SlidingCounts(counters, clock)
    for _ in range(400):
        await added(counts)
        clock.now += 450
    await counters.add([Addition("{a}", (Window("x", 1, 1),), {"m": 1}).change(clock.now)])
    await added(counts)
    kept = await counters._read("{a}")

    assert len(kept) <= 62 + 98
    assert {name[0] for name in kept} == {"h", "d"}


@given(
    events=st.lists(st.tuples(st.integers(0, 900), st.integers(1, 4), st.floats(0, 170)), min_size=1, max_size=60),
    start=st.floats(0, 900),
)
def test_no_hour_has_more_than_the_limit(events: list[tuple[int, int, float]], start: float) -> None:
    """Whenever people send, and though a message leaves up to the lateness later, every hour keeps to the limit."""
    window, most = Window("h", 3600 + 170, 60), 9

    async def run() -> list[tuple[float, int]]:
        clock = Clock(NOON + start)
        counts = SlidingCounts(LocalCounters(make_counters()._store), clock)
        left: list[tuple[float, int]] = []
        for pause, number, late in events:
            clock.now += pause
            [counted] = await counts.add(Addition("{a}", (window,), {"m": number}))
            if counted.wait(window, "m", most):
                await counts.take_back(counted)
            else:
                left.append((clock.now + late, number))
        return left

    left = asyncio.run(run())
    for begin, _ in left:
        assert sum(number for at, number in left if begin <= at < begin + 3600) <= most
