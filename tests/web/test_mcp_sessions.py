"""Session ids: who gets one, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from m365_mcp.web.mcp_sessions import declares_url
from tests.tools.test_url_elicitation import SESSION, Served, served


async def initialize(one: Served, elicitation: Any, **more: Any) -> str | None:
    """Initialize as a client with this capability, and return the session id."""
    capabilities = {} if elicitation is None else {"elicitation": elicitation}
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": capabilities,
        "clientInfo": {"name": "x", "version": "1"},
    }
    headers = {
        "Authorization": f"Bearer {one.tokens.access}",
        "Accept": "application/json, text/event-stream",
    }
    async with one.world.http() as http:
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params, **more}
        answer = await http.post("/mcp", json=body, headers=headers)
    assert answer.status_code == 200
    found: str | None = answer.headers.get(SESSION)
    return found


async def test_only_clients_that_open_urls_get_a_session_id() -> None:
    """No capability, an empty one and forms give none; each id is new, and says what was declared."""
    without: list[Any] = [None, {}, {"form": {}}]
    async with served() as one:
        none = [await initialize(one, elicitation) for elicitation in without]
        ids = [await initialize(one, {"form": {}, "url": {}}), await initialize(one, {"url": {}})]

    assert none == [None] * 3
    assert [declares_url(one) for one in (*ids, None, "", "1" * 32)] == [True, True, False, False, False]
    assert len(set(ids)) == 2
    assert all(one and one.isascii() and one.isprintable() for one in ids)


async def test_server_that_asks_nobody_gives_no_session_id() -> None:
    """Where no mail waits for approval, a client that opens URLs gets no session id either."""
    async with served(m365_send_approval="off") as one:
        assert await initialize(one, {"url": {}}) is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_session_id_opens_no_stream_and_ends_nothing(method: str) -> None:
    """A stateless server answers a client that has a session id, and would listen or end it, with 405."""
    async with served() as one, one.world.http() as http:
        headers = {"Authorization": f"Bearer {one.tokens.access}", SESSION: str(await initialize(one, {"url": {}}))}
        answer = await http.request(method, "/mcp", headers=headers)

    assert answer.status_code == 405
