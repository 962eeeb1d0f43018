"""When anonymous requests have used up their share of Redis, and how often Redis is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from m365_mcp.errors import StorageUnavailable
from m365_mcp.storage.guard import Guard
from m365_mcp.storage.redis_client import connect
from m365_mcp.storage.redis_nodes import RedisNodes
from m365_mcp.storage.reserve import ASK_REQUESTS, ASK_SECONDS, Memory, RedisMemory, Reserve, unlimited
from tests.backends import one_node
from tests.e2e.programs import Redis, make_redis
from tests.redis_cluster import admin, running_cluster


@dataclass
class Asked:
    """A store that counts how often it is asked."""

    memory: Memory | None = field(default_factory=lambda: Memory(0, 100))
    count: int = 0
    now: float = 100.0

    async def __call__(self) -> Memory | None:
        self.count += 1
        await asyncio.sleep(0)
        return self.memory


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    redis = make_redis(tmp_path_factory.mktemp("redis"), "--maxmemory", "64mb")
    redis.program.shared = True
    redis.start()
    yield redis
    assert redis.program.end() == 0


@pytest.mark.parametrize(("used", "reached"), [(0, False), (69, False), (70, True), (100, True)])
async def test_h3_reserve_begins_at_seventy_percent(used: int, reached: bool) -> None:
    """The last 30 % of maxmemory are for people who are signed in."""
    assert await Reserve(Asked(Memory(used, 100))).is_reached() is reached


async def test_h3_store_is_asked_once_a_second_by_all_requests_together() -> None:
    """Requests that come together share one question; a second later the next one asks again."""
    store = Asked()
    reserve = Reserve(store, lambda: store.now)

    await asyncio.gather(*(reserve.is_reached() for _ in range(ASK_REQUESTS)))
    first = store.count
    store.now += ASK_SECONDS
    store.memory = Memory(90, 100)
    answers = [await reserve.is_reached() for _ in range(10 * ASK_REQUESTS)]

    assert first == 1
    assert answers == [True] * len(answers)
    assert store.count == 2


async def test_h3_store_is_asked_sooner_when_many_requests_have_passed() -> None:
    """Within a second a flood passes no more requests than fit, before Redis is asked again."""
    store = Asked()
    reserve = Reserve(store, lambda: store.now)
    await reserve.is_reached()

    store.memory = Memory(90, 100)
    answers = [await reserve.is_reached() for _ in range(2 * ASK_REQUESTS)]

    assert answers.count(False) == ASK_REQUESTS


async def test_h3_full_store_has_room_again() -> None:
    """Once records have expired, sign-ins begin again."""
    store = Asked(Memory(90, 100))
    reserve = Reserve(store, lambda: store.now)
    full = await reserve.is_reached()

    store.memory, store.now = Memory(10, 100), store.now + ASK_SECONDS

    assert [full, await reserve.is_reached()] == [True, False]


@pytest.mark.parametrize("memory", [Memory(90, 0), None])
async def test_h3_store_that_names_no_limit_has_no_reserve_and_one_line_says_so(
    memory: Memory | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without maxmemory, or without the right to ask, nobody is refused, and the operator reads what to change."""
    store = Asked(memory)
    reserve = Reserve(store, lambda: store.now)

    for _ in range(3):
        store.now += ASK_SECONDS
        assert not await reserve.is_reached()

    assert capsys.readouterr().out.count("store_without_reserve") == 1


async def test_h3_store_in_this_process_has_no_reserve(capsys: pytest.CaptureFixture[str]) -> None:
    """Memory and disk have no limit of their own, and no line says so."""
    assert not await Reserve(unlimited).is_reached()
    assert capsys.readouterr().out == ""


async def test_h3_redis_tells_its_memory(redis: Redis) -> None:
    """A Redis with a limit names it; one that forbids INFO is none that is away."""
    client = connect(redis.url)
    memory = await RedisMemory(one_node(client), Guard())()
    await client.acl_setuser("curious", enabled=True, passwords=["+x"], keys=["*"], commands=["+get", "-info"])
    forbidden = connect(redis.url.replace(redis.url.split("@")[0].removeprefix("redis://"), "curious:x"))

    assert memory is not None
    assert memory.maximum == 64 * 1024 * 1024
    assert 0 < memory.used < memory.maximum
    assert await RedisMemory(one_node(forbidden), Guard())() is None
    await forbidden.aclose()
    await client.aclose()


async def test_h3_outage_is_noticed_by_all_requests_together() -> None:
    """Requests that wait for a store that is away fail with one question, and the next one asks again."""
    asked: list[str] = []

    async def away() -> Memory:
        asked.append("INFO")
        await asyncio.sleep(0)
        raise StorageUnavailable

    reserve = Reserve(away)
    failed = await asyncio.gather(*(reserve.is_reached() for _ in range(20)), return_exceptions=True)

    assert {type(one) for one in failed} == {StorageUnavailable}
    assert len(asked) == 1
    with pytest.raises(StorageUnavailable):
        await reserve.is_reached()


async def test_h3_redis_that_is_away_is_an_outage() -> None:
    """It is not mistaken for one without a limit."""
    client = connect("redis://127.0.0.1:1/0")

    with pytest.raises(StorageUnavailable):
        await RedisMemory(one_node(client), Guard())()
    await client.aclose()


async def test_h3_slot_that_no_node_serves_is_an_outage(tmp_path: Path) -> None:
    """A cluster that does not serve every slot is not mistaken for one that forbids INFO."""
    with running_cluster(tmp_path, "--cluster-require-full-coverage", "no") as cluster:
        with admin(cluster.nodes[1]) as client:
            client.execute_command("CLUSTER DELSLOTS", cluster.slots[1][0])  # type: ignore[no-untyped-call]
        nodes = RedisNodes(partial(connect, cluster.url))

        with pytest.raises(StorageUnavailable):
            await RedisMemory(nodes, Guard())()
        await nodes.close()
