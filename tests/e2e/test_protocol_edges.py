"""The real Python SDK against the edges of the protocol: odd ids, odd version headers, both address families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.e2e.person import Assistant, direct_client
from tests.e2e.programs import Simulator, free_port, make_server
from tests.trust import NO_AUTHORITY


def changing(change: Any) -> Any:
    """Return a factory of HTTP clients that change each request before it is sent."""

    def client(
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        **_: Any,
    ) -> httpx2.AsyncClient:
        async def hook(request: httpx2.Request) -> None:
            change(request)

        made = direct_client(headers, timeout, auth)
        made.event_hooks = {"request": [hook]}
        return made

    return client


async def test_f11_client_whose_initialize_names_an_unknown_version_connects(signed_in_ada: Assistant) -> None:
    """The SDK's handshake under the header of another version negotiates, and its tools are listed."""
    changed = []

    def age(request: httpx2.Request) -> None:
        if b'"initialize"' in request.content:
            request.headers["MCP-Protocol-Version"] = "2099-01-01"
            changed.append(request)

    headers = {"Authorization": f"Bearer {await signed_in_ada.token()}"}
    transport = StreamableHttpTransport(signed_in_ada.endpoint, headers, httpx_client_factory=changing(age))
    async with Client(transport, mode="legacy") as client:
        names = [tool.name for tool in await client.list_tools()]

    assert "send_mail" in names
    assert changed


async def test_f10_bad_ids_and_versions_are_answered(signed_in_ada: Assistant, simulator: Simulator) -> None:
    """A request that would vanish is refused and sends nothing; 1.0 is answered, and so is an unknown version."""
    common = {"Authorization": f"Bearer {await signed_in_ada.token()}", "Accept": "application/json, text/event-stream"}
    arguments = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "plain words"}
    mail = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "send_mail", "arguments": arguments}}
    wrong_ids: list[Any] = [None, True, [1], {}]
    ping = {"jsonrpc": "2.0", "id": 1.0, "method": "ping"}
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False, headers=common) as http:
        bad = [await http.post(signed_in_ada.endpoint, json={**mail, "id": wrong}) for wrong in wrong_ids]
        good = await http.post(signed_in_ada.endpoint, json=ping)
        old = await http.post(signed_in_ada.endpoint, json=ping, headers={"MCP-Protocol-Version": "garbage"})
        coded = await http.post(signed_in_ada.endpoint, json=ping, headers={"Content-Encoding": "gzip"})

    assert [(reply.status_code, reply.json()["error"]["code"]) for reply in bad] == [(400, -32600)] * 4
    assert (good.status_code, good.json()["id"], good.json()["result"]) == (200, 1, {})
    assert (old.status_code, coded.status_code) == (400, 415)
    assert "2026-07-28" in json.dumps(old.json())
    assert simulator.outbox == []


@pytest.mark.parametrize("host", ["::", "[::1]", "localhost"])
async def test_f9_server_serves_the_families_that_it_is_told(
    shared_simulator: Simulator, tmp_path: Path, host: str
) -> None:
    """`::` means IPv4 and IPv6, for metrics too; an address may have brackets; a name means what it resolves to."""
    metrics = free_port()
    server = make_server(
        tmp_path, shared_simulator, REDIS_URL="memory://", MCP_HOST=host, MCP_METRICS_PORT=str(metrics)
    )
    port = server.url.rpartition(":")[2]
    server.url = f"http://[::1]:{port}" if host == "[::1]" else server.url
    server.start()
    addresses = ("[::1]",) if host == "[::1]" else ("127.0.0.1", "[::1]") if host == "::" else ("localhost",)
    async with httpx2.AsyncClient(verify=NO_AUTHORITY, trust_env=False) as http:
        found = [(await http.get(f"http://{address}:{port}/livez")).status_code for address in addresses]
        found += [(await http.get(f"http://{address}:{metrics}/metrics")).status_code for address in addresses]

    assert found == [200] * 2 * len(addresses)
