"""Sets whose members have a date, on a real Redis and in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from key_value.aio.stores.memory import MemoryStore
from redis.asyncio import Redis as Client

from m365_mcp.storage.dated_sets import COLLECTION, Bounds, DatedSets, LocalDatedSets, RedisDatedSets
from m365_mcp.storage.guard import Guard, GuardedStore
from m365_mcp.storage.redis_client import connect
from tests.backends import one_node
from tests.e2e.programs import Redis

MANY = Bounds(members=100, seconds=60)


@pytest.fixture
async def client(redis: Redis) -> AsyncIterator[Client]:
    client = connect(redis.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture(params=["redis", "local"])
def sets(request: pytest.FixtureRequest, client: Client) -> DatedSets:
    is_local = request.param == "local"
    return LocalDatedSets(GuardedStore(MemoryStore())) if is_local else RedisDatedSets(one_node(client), Guard())


async def test_members_have_the_date_of_their_last_addition(sets: DatedSets) -> None:
    """Dates come in the order of the question; another set knows nothing of them."""
    await sets.add("a", ["x", "y"], 100.0, MANY)
    await sets.add("a", ["y"], 130.5, MANY)

    assert await sets.dates("a", ["y", "z", "x"]) == [130.5, None, 100.0]
    assert await sets.dates("b", ["x"]) == [None]


async def test_set_keeps_the_newest_members_and_none_for_too_long(sets: DatedSets) -> None:
    """More members than the bound drop the oldest; members older than the bound go at the next addition."""
    few = Bounds(members=3, seconds=60)
    for number in range(5):
        await sets.add("a", [str(number)], 100.0 + number, few)
    assert await sets.dates("a", list("01234")) == [None, None, 102.0, 103.0, 104.0]

    await sets.add("a", ["new"], 163.0, few)

    assert await sets.dates("a", ["2", "3", "4", "new"]) == [None, 103.0, 104.0, 163.0]


async def test_deleted_set_is_gone(sets: DatedSets) -> None:
    """The answer says whether it was there."""
    await sets.add("a", ["x"], 100.0, MANY)

    assert [await sets.delete("a"), await sets.delete("a")] == [True, False]
    assert await sets.dates("a", ["x"]) == [None]


async def test_set_expires_and_something_else_begins_again(client: Client) -> None:
    """Redis forgets a set that nobody adds to; a value of another type is dropped, and nothing fails."""
    sets = RedisDatedSets(one_node(client), Guard())
    await sets.add("a", ["x"], 100.0, MANY)
    assert 59_000 < await client.pttl(f"{COLLECTION}:a") <= 60_000

    for _ in range(2):
        await client.set(f"{COLLECTION}:a", "something else")
        assert await sets.dates("a", ["x"]) == [None]
        await client.set(f"{COLLECTION}:a", "something else")
        await sets.add("a", ["x"], 100.0, MANY)
        assert await sets.dates("a", ["x"]) == [100.0]
        await client.delete(f"{COLLECTION}:a")
