"""How often a request asks the store: counts of round trips, which a busy machine does not change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.redis_proxy import RedisProxy
from tests.e2e.grants import Grant, call_tool, post_mcp, refresh, signed_in
from tests.e2e.programs import Server, Simulator, make_server

MAIL = {"to": ["grace@contoso.example"], "body": "<p>Hi</p>"}
TRIES = 3  # the server's own work, such as a renewed lease on a busy machine, may fall into one of them


@pytest.fixture(params=["30", "0"])
async def server(
    request: pytest.FixtureRequest, simulator: Simulator, proxy: RedisProxy, tmp_path: Path
) -> AsyncIterator[Server]:
    """A server whose way to Redis is counted, with and without a cache of sessions."""
    url = await proxy.url_for("server")
    server = make_server(tmp_path, simulator, REDIS_URL=url, MCP_SESSION_CACHE_SECONDS=request.param)
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


async def test_call_that_reads_asks_once_or_not_at_all_and_a_send_seven_times(
    server: Server, simulator: Simulator, proxy: RedisProxy
) -> None:
    """A send asks for the session, its records, the counts of the person and of all, a slot, and stores the outcome."""
    grant = await signed_in(server, simulator)
    has_cache = server.program.environment["MCP_SESSION_CACHE_SECONDS"] != "0"

    async def read(_: int) -> None:
        await call_tool(server.url, grant.access, "get_my_profile")

    async def list_tools(_: int) -> None:
        await post_mcp(server.url, grant.access, "tools/list")

    async def send(number: int) -> None:
        await call_tool(server.url, grant.access, "send_mail", subject=f"{number}", **MAIL)

    assert await fewest(proxy, read) == (0 if has_cache else 1)
    assert await fewest(proxy, list_tools) == (0 if has_cache else 1)
    assert await fewest(proxy, send) == 7
    assert len(simulator.outbox) == 1 + TRIES


async def test_refresh_asks_a_few_times(server: Server, simulator: Simulator, proxy: RedisProxy) -> None:
    """A refresh asks for the client and the session, takes a lease, and stores the new number."""
    grants: list[Grant] = [await signed_in(server, simulator)]

    async def renew(_: int) -> None:
        grants.append(grants[-1].after(await refresh(server.url, grants[-1])))

    assert await fewest(proxy, renew) <= 12
