"""Requests whose header names another protocol version than their body, as some Claude connectors send them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport

from tests.e2e.person import Assistant, PersonAtBrowser, direct_client
from tests.e2e.programs import Simulator, make_server
from tests.trust import NO_AUTHORITY

MAIL = {"to": ["grace@contoso.example"], "subject": "Hello", "body": "plain words", "content_type": "Text"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "claude-ai", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
ROUTING = ("Mcp-Method", "Mcp-Name")


class Connector:
    """Hands a client's requests on with the version header of 2025-11-25, and counts what it changed."""

    def __init__(self, keeps_routing: bool) -> None:
        self.changed = 0
        self._keeps_routing = keeps_routing

    def open(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
        **_: Any,
    ) -> httpx2.AsyncClient:
        """Return an HTTP client that goes through this connector."""
        client = direct_client(headers, timeout, auth)
        client.event_hooks = {"request": [self._change]}
        return client

    async def _change(self, request: httpx2.Request) -> None:
        # What the client finds out first reaches the server unchanged: only so it comes to speak 2026-07-28.
        if b'"server/discover"' in request.content:
            return
        self.changed += 1
        request.headers["MCP-Protocol-Version"] = "2025-11-25"
        for name in () if self._keeps_routing else ROUTING:
            request.headers.pop(name, None)


def post(endpoint: str, token: str, method: str, params: dict[str, Any], **headers: str) -> httpx2.Response:
    """Send one request of 2026-07-28 under the header of 2025-11-25."""
    sent = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2025-11-25",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}
    return httpx2.post(endpoint, json=body, headers=sent, verify=NO_AUTHORITY, trust_env=False, timeout=30)


@pytest.mark.parametrize("keeps_routing", [True, False])
async def test_client_behind_a_connector_that_ages_the_header_sends_one_mail(
    signed_in_ada: Assistant, simulator: Simulator, keeps_routing: bool
) -> None:
    """A client that negotiated 2026-07-28 lists the tools and sends, though its requests say 2025-11-25."""
    connector = Connector(keeps_routing)
    headers = {"Authorization": f"Bearer {await signed_in_ada.token()}"}
    transport = StreamableHttpTransport(signed_in_ada.endpoint, headers, httpx_client_factory=connector.open)

    async with Client(transport) as client:
        names = [tool.name for tool in await client.list_tools()]
        result = await client.call_tool("send_mail", MAIL)

    assert "send_mail" in names
    assert result.structured_content["status"] == "sent"
    assert [message["subject"] for message in simulator.outbox] == ["Hello"]
    assert connector.changed >= 2


async def test_answer_has_the_form_of_the_version_in_the_body(signed_in_ada: Assistant, simulator: Simulator) -> None:
    """tools/list and tools/call are answered as 2026-07-28 asks, with nothing but the version in the header."""
    token = await signed_in_ada.token()

    listed = post(signed_in_ada.endpoint, token, "tools/list", {})
    called = post(signed_in_ada.endpoint, token, "tools/call", {"name": "send_mail", "arguments": MAIL})

    assert (listed.status_code, called.status_code) == (200, 200)
    assert listed.json()["result"]["resultType"] == called.json()["result"]["resultType"] == "complete"
    assert {"ttlMs", "cacheScope"} <= listed.json()["result"].keys()
    assert len(simulator.outbox) == 1


@pytest.mark.full
async def test_stateful_server_serves_such_a_request_too(simulator: Simulator, tmp_path: Path) -> None:
    """A request of 2026-07-28 needs no session, whatever its header says."""
    server = make_server(tmp_path, simulator, REDIS_URL="memory://", FASTMCP_STATELESS_HTTP="false")
    server.start()
    ada = Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"]))
    await ada.call("get_my_profile")

    response = post(ada.endpoint, await ada.token(), "tools/list", {})

    assert (response.status_code, response.json()["result"]["resultType"]) == (200, "complete")


async def test_method_header_that_contradicts_the_body_is_refused(
    signed_in_ada: Assistant, simulator: Simulator
) -> None:
    """Mcp-Method and Mcp-Name are compared with the body when they are sent (-32020); nothing is sent."""
    token = await signed_in_ada.token()
    call = {"name": "send_mail", "arguments": MAIL}

    for wrong in ({"Mcp_Method": "tools/list"}, {"Mcp_Method": "tools/call", "Mcp_Name": "get_my_profile"}):
        response = post(signed_in_ada.endpoint, token, "tools/call", call, **wrong)
        assert (response.status_code, response.json()["error"]["code"]) == (400, -32020)

    assert simulator.outbox == []


async def test_requests_of_the_handshake_go_by_the_header(signed_in_ada: Assistant) -> None:
    """initialize and ping do not exist in 2026-07-28, and are answered as before."""
    token = await signed_in_ada.token()
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}

    began = post(signed_in_ada.endpoint, token, "initialize", hello).json()
    assert began["result"]["protocolVersion"] == "2025-11-25"
    assert post(signed_in_ada.endpoint, token, "ping", {}).json()["result"] == {}
