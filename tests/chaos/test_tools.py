"""The tools of the chaos tests do what they say."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import httpx2
import pytest
import redis as redis_errors
from redis.asyncio import Redis as Client

from tests.chaos.light_client import LIST, BehindBalancer, LightClient
from tests.chaos.redis_proxy import Hook, RedisProxy, Slowness
from tests.chaos.replicas import Replicas, make_replicas
from tests.chaos.tally import CUT, REFUSED, Answer, Tally
from tests.e2e.programs import Redis, Simulator

pytestmark = [pytest.mark.full, pytest.mark.timeout(120)]


@asynccontextmanager
async def connected(url: str, protocol: int = 2) -> AsyncIterator[Client]:
    async with Client.from_url(url, protocol=protocol, decode_responses=True) as client:
        yield client


@pytest.mark.parametrize("protocol", [2, 3])
async def test_proxy_counts_commands_by_owner_and_passes_everything_on(proxy: RedisProxy, protocol: int) -> None:
    """Each owner's commands are counted in order, transactions included, and the answers are Redis's own."""
    async with connected(await proxy.url_for("a"), protocol) as a, connected(await proxy.url_for("b"), protocol) as b:
        await a.set("name", "x" * 100_000)
        await a.hset("hash", mapping={"one": "1", "two": "2"})
        async with a.pipeline(transaction=True) as together:
            await together.watch("name")
            together.multi()  # type: ignore[no-untyped-call]
            together.set("name", "new")
            together.get("name")
            together.hgetall("hash")
            results = await together.execute()
        await b.get("missing")
        await b.ping()

    assert results == [True, "new", {"one": "1", "two": "2"}]
    assert proxy.counted["a"] == ["SET", "HSET", "WATCH", "MULTI", "SET", "GET", "HGETALL", "EXEC"]
    assert proxy.counted["b"] == ["GET"]


async def test_proxy_slows_every_command_and_some_of_them_more(proxy: RedisProxy) -> None:
    """Each command waits its time, and the fraction that is slow waits longer."""
    async with connected(await proxy.url_for("a")) as client:
        proxy.slowness = Slowness(seconds=0.02)
        started = time.monotonic()
        await client.get("x")
        each = time.monotonic() - started
        proxy.slowness = Slowness(fraction=1.0, fraction_seconds=0.1)
        started = time.monotonic()
        await client.get("x")
        slow = time.monotonic() - started

    assert each >= 0.02
    assert slow >= 0.1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_proxy_calls_the_hook_once_at_the_command_it_was_set_for(
    proxy: RedisProxy, when: Literal["before", "after"]
) -> None:
    """The hook runs when the second command has been carried out, and not again."""
    seen: list[int] = []
    async with connected(await proxy.url_for("a")) as client:
        proxy.on_command("a", Hook(at=2, call=lambda: seen.append(len(proxy.counted["a"])), when=when))
        for name in ("one", "two", "three"):
            await client.set(name, "1")

    assert seen == [2]


async def test_proxy_cuts_refuses_and_accepts_again(proxy: RedisProxy) -> None:
    """A cut breaks connections, a refusal keeps new ones away, and afterwards the same address works."""
    url = await proxy.url_for("a")
    async with Client.from_url(url, retry=None) as client:
        await client.set("x", "1")
        await proxy.refuse()
        with pytest.raises(redis_errors.ConnectionError):
            await client.get("x")
        await proxy.accept()
        found = await client.get("x")

    assert found == b"1"


async def test_tally_tells_right_from_wrong() -> None:
    """Right are 200 and a 503 that says when to come back; a broken connection is counted by itself."""
    right = [Answer("/mcp", 200, 1), Answer("/mcp", 503, 2, waits=True), Answer("/mcp", 200, 1, code="throttled")]
    wrong = [Answer("/mcp", 503, 1), Answer("/mcp", 401, 1), Answer("/token", 500, 1), Answer("/mcp", 404, 1)]
    wrong += [Answer("/mcp", 200, 1, code="sign_in_needed"), Answer("/mcp", 200, 1, code="wrong_person")]
    tally = Tally([*right, *wrong, Answer("/mcp", CUT, 9)])

    assert tally.wrong == wrong
    assert (tally.count(200), tally.count(CUT), tally.told_later, tally.slowest) == (4, 1, 1, 9)


@pytest.fixture
async def replicas(simulator: Simulator, redis: Redis, tmp_path: Path) -> AsyncIterator[Replicas]:
    """Two servers that share a store, and the balancer in front."""
    replicas = make_replicas(tmp_path, simulator, [redis.url] * 2)
    await replicas.start()
    async with replicas.balancer.watched():
        yield replicas
    await asyncio.gather(*(replicas.drain(server) for server in replicas.servers))


@pytest.fixture
async def ada(replicas: Replicas, simulator: Simulator) -> AsyncIterator[LightClient]:
    """Ada's client, signed in through the balancer."""
    person = BehindBalancer(simulator.ready["ca_file"], "ada@contoso.example", replicas.public_url, replicas.balancer)
    async with httpx2.AsyncClient(transport=replicas.balancer, trust_env=False) as http:
        ada = LightClient(http, replicas.public_url, person, Tally())
        await ada.sign_in()
        yield ada


async def test_client_goes_on_when_a_replica_is_killed(ada: LightClient, replicas: Replicas) -> None:
    """Sign-in, calls and refresh work over both replicas, and over the one that is left."""
    both = [await ada.call() for _ in range(4)] + [await ada.call(LIST)]
    refreshed = await ada.refresh()
    await replicas.kill(replicas.servers[0])
    one = [await ada.call() for _ in range(4)]

    assert both + one == [True] * 9
    assert refreshed == "done"
    assert ada.tally.wrong == []
    assert ada.tally.forced_sign_ins == []
    assert ada.tally.count(REFUSED) == 0


async def test_forced_sign_in_is_counted(ada: LightClient, redis: Redis) -> None:
    """A client whose session was taken away refreshes, hears that it is over, signs in again, and that is counted."""
    async with connected(redis.url) as client:
        await client.flushall()
    went_on = await ada.call()

    assert went_on
    assert ada.tally.forced_sign_ins == ["ada@contoso.example"]
    assert 401 in [answer.status for answer in ada.tally.wrong]


async def test_outage_is_told_from_a_cut(ada: LightClient, redis: Redis, replicas: Replicas) -> None:
    """An outage of the store is an answer the client waits at; with all servers gone there is none."""
    redis.program.end(signal.SIGKILL)
    away = await ada.ask()
    redis.start()
    await asyncio.gather(*(replicas.kill(server) for server in replicas.servers))
    gone = await ada.ask()

    assert away is None or away.status_code == 503
    assert gone is None
    assert ada.tally.answers[-1].status == REFUSED
