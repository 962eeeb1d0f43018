"""How often a request asks the store: counts of round trips, which a busy machine does not change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.redis_proxy import RedisProxy
from tests.e2e.grants import Grant, call_tool, refresh, signed_in
from tests.e2e.hand_client import HandClient
from tests.e2e.person import PersonAtBrowser
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


async def test_refresh_asks_six_times_and_entra_once(server: Server, simulator: Simulator, proxy: RedisProxy) -> None:
    """A refresh asks for the client, takes the lease with the session, and stores the new number if nothing changed.

    A second use of the token within the grace time stores nothing.
    """
    grants: list[Grant] = [await signed_in(server, simulator)]

    async def renew(_: int) -> None:
        grants.append(grants[-1].after(await refresh(server.url, grants[-1])))

    async def repeat(_: int) -> None:
        assert grants[-2].after(await refresh(server.url, grants[-2])) == grants[-1]

    assert await fewest(proxy, renew) == 6
    assert simulator.count(grant_type="refresh_token", status=200) == 1 + TRIES
    assert await fewest(proxy, repeat) == 3
    assert simulator.count(grant_type="refresh_token", status=200) == 1 + TRIES


async def test_code_is_redeemed_in_nine_round_trips(server: Server, simulator: Simulator, proxy: RedisProxy) -> None:
    """The first sign-in of a client also ends the week in which an unused registration is kept: five of the nine."""
    client = HandClient(server.url, PersonAtBrowser(simulator.ready["ca_file"], "ada@contoso.example"))
    await client.register()
    counts = []
    for _ in range(TRIES):
        code = await client.sign_in()
        proxy.forget("server")
        assert (await client.redeem(code)).status_code == 200
        counts.append(proxy.round_trips["server"])

    assert counts[0] == 9
    assert min(counts[1:]) == 4
