"""What a request and a person cost, as counts: requests to Microsoft, commands of Redis, and memory of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import redis as redis_py

from tests.chaos.redis_proxy import RedisProxy
from tests.chaos.test_round_trips import MAIL, TRIES
from tests.e2e.grants import Grant, call_tool, refresh, signed_in
from tests.e2e.programs import Redis, Server, Simulator, make_server
from tests.scaling import PERSON_BYTES, READ, REFRESH, SEND, SEND_BYTES, Cost

HOUR_MILLISECONDS = 3600 * 1000


@pytest.fixture
async def server(simulator: Simulator, proxy: RedisProxy, tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose way to Redis is counted."""
    server = make_server(tmp_path, simulator, REDIS_URL=await proxy.url_for("server"))
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.program.end)


async def cost(simulator: Simulator, proxy: RedisProxy, request: Callable[[int], Awaitable[None]]) -> Cost:
    """Return what a request costs that was made before, the least of some."""
    await request(0)
    costs = []
    for number in range(1, 1 + TRIES):
        proxy.forget("server")
        simulator.control("DELETE", "requests")
        await request(number)
        asked = simulator.control("GET", "requests")
        graph = sum(one["path"].startswith("/v1.0/") for one in asked)
        costs.append(Cost(proxy.round_trips["server"], len(proxy.counted["server"]), graph, len(asked) - graph))
    return min(costs)


async def test_cost_of_a_warm_call_a_send_and_a_refresh(
    server: Server, simulator: Simulator, proxy: RedisProxy
) -> None:
    """A call asks Graph once and Entra never, a refresh asks Entra once, and Redis as often as docs/scaling.md says."""
    grants: list[Grant] = [await signed_in(server, simulator)]

    async def read(_: int) -> None:
        await call_tool(server.url, grants[-1].access)

    async def send(number: int) -> None:
        await call_tool(server.url, grants[-1].access, "send_mail", subject=f"{number}", **MAIL)

    async def renew(_: int) -> None:
        grants.append(grants[-1].after(await refresh(server.url, grants[-1])))

    found = [await cost(simulator, proxy, request) for request in (read, send, renew)]
    for one, most in zip(found, (READ, SEND, REFRESH), strict=True):
        assert (one.graph, one.entra) == (most.graph, most.entra)
        assert one.round_trips <= most.round_trips
        assert one.commands <= most.commands


async def test_memory_of_a_person_and_of_a_send_is_as_documented(
    server: Server, simulator: Simulator, redis: Redis
) -> None:
    """A sign-in, and a send, hold so many bytes of Redis for longer than an hour, within 10 %."""
    with redis_py.Redis.from_url(redis.url) as client:
        await signed_in(server, simulator)
        before = lasting_bytes(client)
        grant = await signed_in(server, simulator, "grace@contoso.example")
        person = lasting_bytes(client) - before
        held = []
        for number in range(4):
            await call_tool(server.url, grant.access, "send_mail", idempotency_key=f"{number}", subject="S", **MAIL)
            held.append(lasting_bytes(client))

    assert abs(person - PERSON_BYTES) <= 0.1 * PERSON_BYTES
    assert abs((held[-1] - held[0]) / 3 - SEND_BYTES) <= 0.1 * SEND_BYTES


def lasting_bytes(client: redis_py.Redis) -> int:
    """Return the memory of the keys that Redis keeps for more than an hour."""
    lasting = [key for key in client.scan_iter() if client.pttl(key) > HOUR_MILLISECONDS]
    return sum(int(client.memory_usage(key, samples=0) or 0) for key in lasting)
