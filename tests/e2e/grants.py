"""What an MCP client holds after a sign-in, for requests made by hand at /token, /revoke and /mcp."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.person import Assistant, PersonAtBrowser, PersonOAuth, direct_client
from tests.e2e.programs import Server, Simulator, make_server

HEADERS = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
KEYS = {
    "JWT_SIGNING_KEY": "a-signing-key-that-is-the-same-on-all-replicas",
    "STORAGE_ENCRYPTION_KEY": "x5zbX0mGxW0Y8l0c0Q5oI8a4Pqk3oYw2mH6m3l7b8dE=",
}


@dataclass(frozen=True)
class Grant:
    """The tokens of one client."""

    client_id: str
    access: str
    refresh: str

    @property
    def refresh_form(self) -> dict[str, str]:
        return {"grant_type": "refresh_token", "refresh_token": self.refresh, "client_id": self.client_id}

    def after(self, reply: httpx2.Response) -> Grant:
        """Return the tokens that came with a reply of /token."""
        assert reply.status_code == 200, reply.text
        tokens = reply.json()
        return Grant(self.client_id, tokens["access_token"], tokens["refresh_token"])


async def grant_of(assistant: Assistant) -> Grant:
    """Return what the assistant holds."""
    oauth = PersonOAuth(assistant.person, assistant.storage)
    oauth._bind(assistant.endpoint)
    tokens = await oauth.token_storage_adapter.get_tokens()
    client = await oauth.token_storage_adapter.get_client_info()
    assert tokens is not None
    assert client is not None
    return Grant(str(client.client_id), tokens.access_token, str(tokens.refresh_token))


async def post_token(url: str, form: dict[str, str]) -> httpx2.Response:
    async with direct_client() as http:
        return await http.post(f"{url}/token", data=form)


async def refresh(url: str, grant: Grant) -> httpx2.Response:
    return await post_token(url, grant.refresh_form)


async def post_mcp(url: str, token: str, method: str = "tools/list", **params: Any) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {**HEADERS, "Authorization": f"Bearer {token}"}
    async with direct_client(headers=headers, timeout=httpx2.Timeout(60)) as http:
        return await http.post(f"{url}/mcp", json=body)


async def call_tool(url: str, token: str, tool: str = "get_my_profile", **arguments: Any) -> httpx2.Response:
    return await post_mcp(url, token, "tools/call", name=tool, arguments=arguments)


def start_server(folder: Path, simulator: Simulator, **settings: str) -> Server:
    """Start a server; one whose URL and port are given takes the place of an earlier one."""
    server = make_server(folder, simulator, **{"REDIS_URL": "memory://", **settings})
    server.url = settings.get("MCP_SERVER_BASE_URL", server.url)
    server.start()
    return server


def start_replicas(folder: Path, simulator: Simulator, redis_url: str, count: int = 2, **settings: str) -> list[Server]:
    """Start replicas with one public URL, that of the first."""
    first = make_server(folder, simulator, REDIS_URL=redis_url, **KEYS, **settings)
    shared = {"MCP_SERVER_BASE_URL": first.url, "REDIS_URL": redis_url, **KEYS, **settings}
    replicas = [first, *(make_server(folder, simulator, **shared) for _ in range(count - 1))]
    for replica in replicas:
        replica.start()
    return replicas


def assistant_at(server: Server, simulator: Simulator, name: str = "ada@contoso.example") -> Assistant:
    return Assistant(server.url, PersonAtBrowser(simulator.ready["ca_file"], name))


async def signed_in(server: Server, simulator: Simulator, name: str = "ada@contoso.example") -> Grant:
    """Sign a person in and return the tokens; the simulator's log begins here."""
    assistant = assistant_at(server, simulator, name)
    result = await assistant.call("get_my_profile")
    assert not result.is_error, result
    simulator.control("DELETE", "requests")
    return await grant_of(assistant)
