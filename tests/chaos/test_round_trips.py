"""How often a request asks the store: counts of round trips, which a busy machine does not change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.redis_proxy import RedisProxy
from tests.e2e.grants import Grant, call_tool, refresh, signed_in
from tests.e2e.programs import Server, Simulator, make_server

MAIL = {"to": ["grace@contoso.example"], "body": "<p>Hi</p>"}
TRIES = 3  # the server's own work, such as a renewed lease on a busy machine, may fall into one of them


@pytest.fixture
async def server(simulator: Simulator, proxy: RedisProxy, tmp_path: Path) -> AsyncIterator[Server]:
    """A server whose way to Redis is counted."""
    server = make_server(tmp_path, simulator, REDIS_URL=await proxy.url_for("server"))
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.program.end)


async def fewest(proxy: RedisProxy, request: Callable[[int], Awaitable[None]]) -> int:
    """Return the round trips of a request that was made before, the fewest of some."""
    await request(0)
    counts = []
    for number in range(1, 1 + TRIES):
        proxy.forget("server")
        await request(number)
        counts.append(proxy.round_trips["server"])
    return min(counts)


async def test_call_that_reads_asks_once_and_a_send_five_times(
    server: Server, simulator: Simulator, proxy: RedisProxy
) -> None:
    """A send asks for the session, for records and slot, for the counts of the person and of all; it stores its end."""
    grant = await signed_in(server, simulator)

    async def read(_: int) -> None:
        await call_tool(server.url, grant.access, "get_my_profile")

    async def send(number: int) -> None:
        await call_tool(server.url, grant.access, "send_mail", subject=f"{number}", **MAIL)

    assert await fewest(proxy, read) == 1
    assert await fewest(proxy, send) == 5
    assert len(simulator.outbox) == 1 + TRIES


async def test_refresh_asks_a_few_times(server: Server, simulator: Simulator, proxy: RedisProxy) -> None:
    """A refresh asks for the client and the session, takes a lease, and stores the new number."""
    grants: list[Grant] = [await signed_in(server, simulator)]

    async def renew(_: int) -> None:
        grants.append(grants[-1].after(await refresh(server.url, grants[-1])))

    assert await fewest(proxy, renew) <= 12
