"""Counters that replicas change together, on a real Redis and in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis as Client

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.counters import COLLECTION, Change, Counters, RedisCounters
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_client import connect
from tests.backends import make_counters, one_node
from tests.e2e.programs import Redis


@pytest.fixture
async def client(redis: Redis) -> AsyncIterator[Client]:
    client = connect(redis.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(params=["redis", "local"])
def counters(request: pytest.FixtureRequest, client: Client) -> Counters:
    return make_counters() if request.param == "local" else RedisCounters(one_node(client), Guard())


async def test_addition_returns_what_is_counted_under_each_key(counters: Counters) -> None:
    """Every counter of a key is returned, those of other calls included; a change without numbers only reads."""
    await counters.add([Change("{a}1", 60, {"x": 2}), Change("{a}2", 60, {"z": 7})])
    first, second = await counters.add([Change("{a}1", 60, {"x": -1, "y": 5}), Change("{a}2", 60)])

    assert (first, second) == ({"x": 1, "y": 5}, {"z": 7})
    assert await counters.add([Change("{a}3", 60)]) == [{}]


async def test_many_changes_are_made_in_order_and_in_transactions_of_bounded_size(client: Client) -> None:
    """A mail to five hundred people has the event loop to itself for no longer than fifty counters."""
    changes = [Change(f"{{a}}{number}", 60, {"x": number}) for number in range(500)]

    found = await RedisCounters(one_node(client), Guard()).add(changes)

    assert found == [{"x": number} for number in range(500)]
    statistics = await client.info("commandstats")
    assert statistics["cmdstat_exec"]["calls"] >= 10


async def test_each_of_many_concurrent_callers_gets_a_number_of_its_own(counters: Counters) -> None:
    """Fifty callers add one at the same time and read 1 to 50; nobody has to try again."""
    found = await asyncio.gather(*(counters.add([Change("{a}", 60, {"x": 1})]) for _ in range(50)))

    assert sorted(one["x"] for [one] in found) == list(range(1, 51))


async def test_dropped_counters_are_gone(counters: Counters) -> None:
    """The others keep their numbers."""
    await counters.add([Change("{a}", 60, {"x": 1, "y": 2})])
    await counters.drop("{a}", ["x", "unknown"])

    assert await counters.add([Change("{a}", 60)]) == [{"y": 2}]


async def test_counters_expire(client: Client) -> None:
    """The store forgets them so long after the last addition; reading does not prolong it."""
    counters = RedisCounters(one_node(client), Guard())
    await counters.add([Change("{a}", 60, {"x": 1})])
    await counters.add([Change("{a}", 600)])

    assert 59_000 < await client.pttl(f"{COLLECTION}:{{a}}") <= 60_000


@pytest.mark.parametrize("stored", ["text", "no number", "no UTF-8"])
async def test_counters_that_cannot_be_read_begin_again(client: Client, stored: str) -> None:
    """What somebody else has put there ends no counting."""
    name = f"{COLLECTION}:{{a}}"
    if stored == "text":
        await client.set(name, "1")
    else:
        await client.hset(name, "x" if stored == "no number" else "y", b"many" if stored == "no number" else b"\xff")

    assert await RedisCounters(one_node(client), Guard()).add([Change("{a}", 60, {"x": 1})]) == [{"x": 1}]


async def test_full_store_forgets_no_counter(client: Client) -> None:
    """A Redis without room refuses the addition; what was counted stays."""
    counters = RedisCounters(one_node(client), Guard())
    await counters.add([Change("{a}", 60, {"x": 1})])
    await client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StorageUnavailable):
            await counters.add([Change("{a}", 60, {"x": 1})])
    finally:
        await client.config_set("maxmemory", 0)

    assert await counters.add([Change("{a}", 60)]) == [{"x": 1}]
