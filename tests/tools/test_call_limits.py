"""How often one person calls a tool that reads."""

from __future__ import annotations

import asyncio

import pytest

from m365_mcp.errors import RateLimited, StorageUnavailable
from m365_mcp.person import PersonId
from m365_mcp.storage.sliding_counts import SlidingCounts
from m365_mcp.tools.call_limits import MOST, CallLimits, PersonCalls
from tests.backends import make_counters

ADA, GRACE = PersonId("t", "ada"), PersonId("t", "grace")


async def test_g22_person_calls_a_tool_so_often_an_hour() -> None:
    """G22: of 200 calls over three replicas 120 are answered; other people and other tools have their own number."""
    counters, now = make_counters(), [3_600_000.0]
    replicas = [CallLimits(SlidingCounts(counters, lambda: now[0])) for _ in range(3)]

    calls = [replicas[number % 3].count(ADA, "find_people") for number in range(200)]
    refused = [error for error in await asyncio.gather(*calls, return_exceptions=True) if error is not None]
    await replicas[0].count(ADA, "list_messages")
    await replicas[0].count(GRACE, "find_people")
    now[0] += 65 * 60
    await replicas[0].count(ADA, "find_people")

    assert len(refused) == 200 - MOST
    assert {type(error) for error in refused} == {RateLimited}
    assert str(refused[0]) == (
        "rate_limited: You have reached the limit of 120 calls of find_people an hour. "
        "What to do: Work with what was found so far; try again in 65 minutes. Retry after 3900 seconds."
    )


async def test_nobody_is_not_counted() -> None:
    """Without a sign-in the tool has an error of its own."""
    counters = make_counters()
    for _ in range(2 * MOST):
        await PersonCalls(CallLimits(SlidingCounts(counters)), None).count("find_people")
    for _ in range(MOST):
        await PersonCalls(CallLimits(SlidingCounts(counters)), ADA).count("find_people")
    with pytest.raises(RateLimited):
        await PersonCalls(CallLimits(SlidingCounts(counters)), ADA).count("find_people")


class Fading(SlidingCounts):
    """Counts of a store that stops responding before anything is taken back."""

    async def take_back(self, *_: object) -> None:
        raise StorageUnavailable


async def test_refusal_is_told_though_the_store_stops_responding() -> None:
    """The refused call then counts, and the person hears of the limit."""
    calls = CallLimits(Fading(make_counters()))
    for _ in range(MOST):
        await calls.count(ADA, "find_people")
    with pytest.raises(RateLimited):
        await calls.count(ADA, "find_people")
